import { CHECKPOINT_BYTES, type Checkpoints } from '../../oci/checkpoints.ts'
import { type Instruction, MAX_CHECKPOINTS_PER_MESSAGE, type Progress } from '../wire/protocol/messages.ts'
import type { SessionListener, TrackerSession } from './session.ts'

export interface ParticipantSessionOptions {
  readonly listener: SessionListener
  readonly whole: boolean
  readonly now: () => number
  readonly onReport: (progress: Progress) => void
  readonly onLeave: () => void
}

/** The tracker's side of one session of one participant. */
export class ParticipantSession implements TrackerSession {
  heardAtMs: number
  isWhole: boolean
  readonly #options: ParticipantSessionOptions
  #sentCheckpoints = 0
  #hasEnded = false

  constructor(options: ParticipantSessionOptions) {
    this.#options = options
    this.heardAtMs = options.now()
    this.isWhole = options.whole
  }

  report(progress: Progress): void {
    if (this.#hasEnded) return
    this.heardAtMs = this.#options.now()
    if (progress.is === 'whole') this.isWhole = true
    this.#options.onReport(progress)
  }

  leave(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#options.onLeave()
  }

  end(): void {
    this.#hasEnded = true
    this.#options.listener.onEnded()
  }

  instruct(instruction: Instruction): void {
    this.#options.listener.onInstruction(instruction)
  }

  /** Sends the checkpoints that this session has not sent yet. */
  sendCheckpoints(checkpoints: Checkpoints): void {
    while (this.#sentCheckpoints < checkpoints.count) {
      const first = this.#sentCheckpoints
      const batch = checkpoints.since(first, first + MAX_CHECKPOINTS_PER_MESSAGE)
      this.#sentCheckpoints += batch.length / CHECKPOINT_BYTES
      this.instruct({ is: 'marks', first, marks: Buffer.from(batch).toString('base64') })
    }
  }
}
