import { pause } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure, type FailureCode } from '../../ports/failure.ts'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 5 * 60_000
/** A job that the bucket refuses so often is given up. */
const MAX_REFUSALS = 5
/** With the longest pause between them, so many attempts take more than an hour. */
const MAX_BUSY = 20
/** After these failures of a bucket or a registry another attempt can help. */
const PASSING: readonly FailureCode[] = ['unavailable', 'denied', 'stalled', 'busy']

export interface UploadQueueOptions<Job> {
  readonly concurrency: number
  /** How many jobs may wait. More are dropped. */
  readonly most: number
  readonly keyOf: (job: Job) => string
  /** Which of two jobs of the same key is done. */
  readonly preferred: (waiting: Job, added: Job) => Job
  /** Rejects with a `Failure` of the bucket, which is tried again, or with another error, after which the job is over. */
  readonly run: (job: Job, options: { signal: AbortSignal }) => Promise<void>
  /** Called with the first failure in a row, and with undefined when a job has ended well after that. */
  readonly onFailing: (failure: Failure | undefined) => void
  /** Called when a job that was added has failed and is not tried again. */
  readonly onGivenUp?: (job: Job) => void
  readonly firstPauseMs?: number
}

interface Waiting<Job> {
  readonly job: Job
  refusals: number
  busy: number
}

/** Jobs that are done in the background, several at a time. While the bucket fails, all wait. */
export class UploadQueue<Job> {
  readonly #options: UploadQueueOptions<Job>
  readonly #waiting = new Map<string, Waiting<Job>>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()
  #failuresInRow = 0
  #pausing: Promise<void> | undefined
  #dropped = 0
  #onIdle: (() => void)[] = []

  constructor(options: UploadQueueOptions<Job>) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size + this.#running.size
  }

  get dropped(): number {
    return this.#dropped
  }

  /** Whether a job of this key waits or runs. */
  has(key: string): boolean {
    return this.#waiting.has(key) || this.#running.has(key)
  }

  /** Gives false when the queue is full, and the job is dropped. Of jobs with the same key one waits. */
  add(job: Job): boolean {
    if (this.#stopping.signal.aborted) return false
    const key = this.#options.keyOf(job)
    const known = this.#waiting.get(key)
    if (known !== undefined) {
      this.#waiting.set(key, { ...known, job: this.#options.preferred(known.job, job) })
      return true
    }
    if (this.#waiting.size >= this.#options.most) {
      this.#dropped += 1
      return false
    }
    this.#waiting.set(key, { job, refusals: 0, busy: 0 })
    this.#begin()
    return true
  }

  /** Resolves when no job waits or runs. */
  async idle(): Promise<void> {
    while (this.waiting > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  /** Drops what waits, and ends what runs. What is half uploaded is continued after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'The agent is stopping.'))
    this.#waiting.clear()
    await Promise.all([...this.#running.values(), this.#pausing])
    this.#tellIdle()
  }

  #begin(): void {
    const { concurrency } = this.#options
    if (this.#pausing !== undefined || this.#stopping.signal.aborted) return
    for (const [key, waiting] of this.#waiting) {
      if (this.#running.size >= concurrency) return
      if (this.#running.has(key)) continue
      this.#waiting.delete(key)
      const running = this.#run(key, waiting).finally(() => {
        this.#running.delete(key)
        this.#begin()
        this.#tellIdle()
      })
      this.#running.set(key, running)
    }
  }

  async #run(key: string, waiting: Waiting<Job>): Promise<void> {
    const { run, onFailing } = this.#options
    const { signal } = this.#stopping
    try {
      await run(waiting.job, { signal })
      if (this.#failuresInRow > 0) onFailing(undefined)
      this.#failuresInRow = 0
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Failure) || !PASSING.includes(error.code)) {
        this.#giveUp(waiting.job)
        return
      }
      this.#failuresInRow += 1
      if (this.#failuresInRow === 1) onFailing(error)
      if (error.code === 'denied') waiting.refusals += 1
      if (error.code === 'busy') waiting.busy += 1
      const job = this.#preferred(key, waiting.job)
      if (waiting.refusals < MAX_REFUSALS && waiting.busy < MAX_BUSY)
        this.#waiting.set(key, { ...waiting, job })
      else this.#giveUp(waiting.job)
      this.#pause(error.details.retryAfterMs)
    }
  }

  /** The job to be done after one that has failed: another one with its key may have been added meanwhile. */
  #preferred(key: string, failed: Job): Job {
    const added = this.#waiting.get(key)?.job
    return added === undefined ? failed : this.#options.preferred(failed, added)
  }

  #giveUp(job: Job): void {
    this.#dropped += 1
    this.#options.onGivenUp?.(job)
  }

  #pause(retryAfterMs = 0): void {
    const firstMs = this.#options.firstPauseMs ?? FIRST_PAUSE_MS
    const waitMs = backoffMs(this.#failuresInRow, { firstMs, maxMs: LONGEST_PAUSE_MS, jitter: 0.25 })
    const ms = Math.max(waitMs, Math.min(retryAfterMs, LONGEST_PAUSE_MS))
    this.#pausing ??= pause(ms, { signal: this.#stopping.signal, ref: false })
      .catch(() => {})
      .then(() => {
        this.#pausing = undefined
        this.#begin()
      })
  }

  #tellIdle(): void {
    if (this.waiting === 0) for (const tell of this.#onIdle.splice(0)) tell()
  }
}
