import { Worker } from 'node:worker_threads'
import { Deferred } from '../../lib/async/deferred.ts'
import { Failure } from '../../ports/failure.ts'
import type { HashAnswer, HashRequest } from './scrub-messages.ts'

/** The thread needs one hash and one buffer; Node's defaults would let it keep tens of MiB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
/** A thread costs 8 MiB (13 MiB in Node 24) and takes tens of milliseconds to start: an idle one ends after 5 s. */
const IDLE_MS = 5_000

/** The thread that hashes stored files, one request at a time. It runs only while it is needed. */
export class HashThread {
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
    this.#pending = new Deferred()
    worker.postMessage(piece)
    return this.#pending.promise.finally(() => this.#startIdleTimer())
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idleTimer)
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(new URL('./scrub-thread.js', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
      name: 'leat scrub',
    })
    this.#worker = worker
    worker.on('message', (answer: HashAnswer) => this.#pending?.resolve(answer))
    let cause: unknown
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      this.#pending?.reject(new Failure('disk', 'the hash thread has died', { cause }))
    })
    return worker
  }

  /** An idle thread does not keep the process running, and ends after `idleMs`. */
  #startIdleTimer(): void {
    this.#pending = undefined
    this.#worker?.unref()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.stop(), this.#idleMs).unref()
  }
}
