import { Worker } from 'node:worker_threads'
import { algorithmOf, type Digest } from '../../../oci/digest.ts'
import { Failure } from '../../../ports/failure.ts'
import type { SharedMemory } from './shared-memory.ts'
import { WriterFile, type WriterListener } from './writer-file.ts'
import type { WriterCommand, WriterData, WriterReport } from './writer-messages.ts'

/** A writer thread needs a hash, a file and a few messages; Node's defaults would let it keep tens of MiB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
/** A thread costs 8 MiB (13 MiB in Node 24) while it runs, so an idle one ends after half a minute. */
const IDLE_MS = 30_000

/** The threads that hash and write. A thread starts when it is needed, and ends when it is idle for long. */
export class WriterPool {
  readonly #memory: SharedMemory
  readonly #limit: number
  readonly #idleMs: number
  readonly #threads = new Set<WriterThread>()

  constructor(memory: SharedMemory, threads: number, { idleMs = IDLE_MS } = {}) {
    this.#memory = memory
    this.#limit = Math.max(1, threads)
    this.#idleMs = idleMs
  }

  /**
   * Hashes the `from` bytes that `fd` has already, then what is appended. `fd` must be open for reading and writing; without
   * `fd`, everything is only hashed.
   */
  open(fd: number | undefined, wanted: Digest, from: number, listener: WriterListener): WriterFile {
    return this.#leastBusy().open(fd, wanted, from, listener)
  }

  /** Starts a thread if there is none: a start takes tens of milliseconds, in which upstream can be asked. */
  prepare(): void {
    if (this.#threads.size === 0) this.#start()
  }

  /** Ends all threads. The caller has ended all files before. */
  async stop(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  #leastBusy(): WriterThread {
    const [best] = [...this.#threads].sort((one, other) => one.load - other.load)
    return best === undefined || (best.load > 0 && this.#threads.size < this.#limit) ? this.#start() : best
  }

  #start(): WriterThread {
    const thread = new WriterThread(this.#memory.buffer, this.#idleMs, () => this.#threads.delete(thread))
    this.#threads.add(thread)
    return thread
  }
}

class WriterThread {
  readonly #worker: Worker
  readonly #files = new Map<number, WriterFile>()
  readonly #idleMs: number
  readonly #onEnded: () => void
  #idleTimer: NodeJS.Timeout | undefined
  #nextNumber = 1

  constructor(memory: SharedArrayBuffer, idleMs: number, onEnded: () => void) {
    this.#idleMs = idleMs
    this.#onEnded = onEnded
    const workerData: WriterData = { memory }
    this.#worker = new Worker(new URL('./writer-thread.js', import.meta.url), {
      workerData,
      resourceLimits: RESOURCE_LIMITS,
      name: 'leat writer',
    })
    this.#worker.on('message', (report: WriterReport) => this.#files.get(report.file)?.receive(report))
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#worker.on('exit', () => {
      clearTimeout(this.#idleTimer)
      onEnded()
      for (const file of [...this.#files.values()]) {
        file.threadDied(new Failure('disk', 'a writer thread has died', { cause }))
      }
    })
    this.#startIdleTimer()
  }

  /** How many files the thread has open. */
  get load(): number {
    return this.#files.size
  }

  open(fd: number | undefined, wanted: Digest, from: number, listener: WriterListener): WriterFile {
    clearTimeout(this.#idleTimer)
    this.#worker.ref()
    const number = this.#nextNumber++
    const post = (command: WriterCommand): void => this.#worker.postMessage(command)
    post({ do: 'open', file: number, fd, algorithm: algorithmOf(wanted) })
    const file = new WriterFile(number, wanted, from, post, listener, () => {
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
