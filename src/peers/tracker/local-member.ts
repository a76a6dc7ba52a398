import { Deferred } from '../../lib/async/deferred.ts'
import { Throttle } from '../../lib/async/throttle.ts'
import type { LocalContent, LocalState } from '../../ports/local-content.ts'
import type { Want } from '../../ports/source.ts'
import type { Contact } from '../wire/protocol/messages.ts'
import type { JoinRequest, SessionListener, TrackerSession } from './session.ts'

/** Other members wait this long for the owner to join first, so that the owner is the fetcher. */
const JOIN_FIRST_MS = 1000
/** Bounds how often the local content is checked while bytes arrive. */
const CHECK_INTERVAL_MS = 25

/** The delivery plan of a tracked digest, as the local node sees it. */
export interface LocalPlan {
  /** Whether the local node has a session in this plan, of a transfer or of `LocalMember`. */
  hasSession(): boolean
  isParticipant(): boolean
  checkpointCount(): number
  join(request: JoinRequest, listener: SessionListener): TrackerSession
  leave(): void
  setSize(size: number): void
  addCheckpoints(first: number, checkpoints: Uint8Array): void
}

export interface LocalMemberOptions {
  readonly want: Want
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly localContent: LocalContent
  /** The local content when the plan begins. */
  readonly state: LocalState | undefined
  readonly plan: LocalPlan
}

/**
 * Makes the owner of a digest a participant of its own delivery plan. The owner begins a transfer of the content, and
 * that transfer joins the plan by a session, as the transfers of all other members do. A `LocalMember` joins instead of
 * the transfer only when this node has the content already, or gets it without an instruction of this plan. It also
 * tells the plan what only the local content shows: the size, which no message between members carries, and the
 * checkpoints of a stored content.
 */
export class LocalMember {
  readonly #options: LocalMemberOptions
  readonly #joined = new Deferred<void>()
  readonly #check = new Throttle(CHECK_INTERVAL_MS, () => void this.#update().catch(() => {}))
  readonly #joinTimer: NodeJS.Timeout
  readonly #stopWatching: () => void
  /** Undefined while a transfer has the local node's session, or nothing does. */
  #session: TrackerSession | undefined
  #isClosed = false

  constructor(options: LocalMemberOptions) {
    const { want, localContent, state } = options
    this.#options = options
    this.#stopWatching = localContent.watch(want.digest, () => this.#check.call())
    if (state?.isComplete) this.#join(state)
    this.#joinTimer = setTimeout(() => void this.#joinWithoutTransfer(), JOIN_FIRST_MS).unref()
    const settle = (): void => {
      this.#joined.resolve()
      this.#check.call()
    }
    void localContent.fetch(want).then(settle, settle)
  }

  /** Resolves when the local node has joined the plan, or will not do so. */
  async ready(): Promise<void> {
    await this.#joined.promise
    if (!this.#options.plan.isParticipant()) await this.#update()
  }

  noteJoined(): void {
    this.#joined.resolve()
  }

  close(): void {
    this.#isClosed = true
    this.#stopWatching()
    this.#check.stop()
    clearTimeout(this.#joinTimer)
  }

  /** A transfer follows another owner's plan, or began when this node had no peers. */
  async #joinWithoutTransfer(): Promise<void> {
    const { localContent, want, plan } = this.#options
    const state = await localContent.state(want).catch(() => undefined)
    if (state !== undefined && !this.#isClosed && !plan.isParticipant()) this.#join(state)
    this.#joined.resolve()
  }

  #join({ availableBytes: position, isComplete: whole }: LocalState): void {
    const { self, plan } = this.#options
    const from = whole ? undefined : 'upstream'
    this.#session = plan.join(
      { ...self, position, whole, from },
      {
        // A `LocalMember` cannot change what the transfer does, but each instruction is a reason to report.
        onInstruction: () => this.#check.call(),
        onEnded: () => {
          this.#session = undefined
        },
      },
    )
    if (whole) this.#leaveAsSeeder()
    this.#joined.resolve()
  }

  #leaveAsSeeder(): void {
    this.#session?.leave()
    this.#session = undefined
  }

  async #update(): Promise<void> {
    const { localContent, want, plan } = this.#options
    const state = await localContent.state(want)
    if (this.#isClosed) return
    if (state?.size !== undefined) plan.setSize(state.size)
    const isReportedByTransfer = plan.hasSession() && this.#session === undefined
    if (state === undefined) {
      if (!isReportedByTransfer) plan.leave()
      return
    }
    if (!isReportedByTransfer) this.#report(state)
    if (state.isComplete || this.#session !== undefined) await this.#addCheckpoints()
  }

  #report(state: LocalState): void {
    const { plan } = this.#options
    if (this.#session === undefined) {
      if (state.isComplete && !plan.isParticipant()) this.#join(state)
    } else if (state.isComplete) {
      this.#session.report({ is: 'whole' })
      this.#leaveAsSeeder()
    } else this.#session.report({ is: 'at', position: state.availableBytes })
  }

  async #addCheckpoints(): Promise<void> {
    const { localContent, want, plan } = this.#options
    const first = plan.checkpointCount()
    const checkpoints = await localContent.checkpoints(want.digest, first)
    if (checkpoints !== undefined && !this.#isClosed) plan.addCheckpoints(first, checkpoints)
  }
}
