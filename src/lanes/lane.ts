import { Worker } from 'node:worker_threads'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { Failure } from '../ports/failure.ts'
import { LaneFile, type LaneFileListener } from './lane-file.ts'
import type { LaneCommand, LaneData, LaneReport } from './thread/messages.ts'

/** A lane needs a hash, a file and a few messages; Node's defaults would let it keep tens of MiB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** The main thread's side of one lane. */
export class Lane {
  readonly #worker: Worker
  readonly #files = new Map<number, LaneFile>()
  readonly #idleMs: number
  readonly #onEnded: () => void
  #idleTimer: NodeJS.Timeout | undefined
  #nextNumber = 1

  constructor(memory: SharedArrayBuffer, idleMs: number, onEnded: () => void) {
    this.#idleMs = idleMs
    this.#onEnded = onEnded
    const workerData: LaneData = { memory }
    this.#worker = new Worker(new URL('./thread/lane-thread.js', import.meta.url), {
      workerData,
      resourceLimits: RESOURCE_LIMITS,
      name: 'leat lane',
    })
    this.#worker.on('message', (report: LaneReport) => this.#files.get(report.file)?.receive(report))
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#worker.on('exit', () => {
      clearTimeout(this.#idleTimer)
      onEnded()
      for (const file of [...this.#files.values()]) {
        file.threadDied(new Failure('disk', 'a lane has died', { cause }))
      }
    })
    this.#startIdleTimer()
  }

  /** How many files the thread has open. */
  get load(): number {
    return this.#files.size
  }

  open(fd: number | undefined, wanted: Digest, from: number, listener: LaneFileListener): LaneFile {
    clearTimeout(this.#idleTimer)
    this.#worker.ref()
    const number = this.#nextNumber++
    const post = (command: LaneCommand): void => this.#worker.postMessage(command)
    post({ do: 'open', file: number, fd, algorithm: algorithmOf(wanted) })
    const file = new LaneFile(number, wanted, from, post, listener, () => {
      this.#files.delete(number)
      if (this.#files.size === 0) this.#startIdleTimer()
    })
    this.#files.set(number, file)
    return file
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idleTimer)
    // The pool forgets the thread at once, so that no file is opened in a thread that is ending.
    this.#onEnded()
    await this.#worker.terminate()
  }

  /** An idle thread does not keep the process running, and ends after `idleMs`. */
  #startIdleTimer(): void {
    this.#worker.unref()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.stop(), this.#idleMs).unref()
  }
}
