import { Worker } from 'node:worker_threads'
import { Deferred } from '../async/deferred.ts'
import type { HashAnswer, HashRequest } from './messages.ts'

/** The thread needs one hash and one buffer; Node's defaults would let it keep tens of MiB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
/** A thread costs 8 MiB (13 MiB in Node 24) and takes tens of milliseconds to start: an idle one ends after 5 s. */
const IDLE_MS = 5_000

/**
 * Hashes files in a thread, one content at a time: the caller sends the pieces of one content, and waits for each answer,
 * before those of the next. The thread runs only while it is needed.
 */
export class FileHasher {
  readonly #idleMs: number
  #worker: Worker | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #pending: Deferred<HashAnswer> | undefined

  constructor({ idleMs = IDLE_MS } = {}) {
    this.#idleMs = idleMs
  }

  get isRunning(): boolean {
    return this.#worker !== undefined
  }

  /** When the call resolves or rejects, the thread no longer touches `fd`. */
  hash(piece: HashRequest): Promise<HashAnswer> {
    clearTimeout(this.#idleTimer)
    const worker = this.#worker ?? this.#start()
    worker.ref()
    const pending = new Deferred<HashAnswer>()
    this.#pending = pending
    worker.postMessage(piece)
    return pending.promise.finally(() => this.#startIdleTimer(pending))
  }

  /** A request under way is rejected. When the call resolves, the thread has ended. */
  async stop(): Promise<void> {
    clearTimeout(this.#idleTimer)
    const worker = this.#worker
    const pending = this.#pending
    this.#worker = undefined
    this.#pending = undefined
    await worker?.terminate()
    pending?.reject(new Error('The hash thread was stopped.'))
  }

  #start(): Worker {
    const worker = new Worker(new URL('./hash-thread.js', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
      name: 'leat hash',
    })
    this.#worker = worker
    worker.on('message', (answer: HashAnswer) => {
      if (this.#worker === worker) this.#pending?.resolve(answer)
    })
    let cause: unknown
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => {
      // A thread that was stopped may end after the next one has started.
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#pending?.reject(new Error('The hash thread has ended.', { cause }))
    })
    return worker
  }

  /** An idle thread does not keep the process running, and ends after `idleMs`. */
  #startIdleTimer(answered: Deferred<HashAnswer>): void {
    if (this.#pending !== answered) return
    this.#pending = undefined
    this.#worker?.unref()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.stop(), this.#idleMs).unref()
  }
}
