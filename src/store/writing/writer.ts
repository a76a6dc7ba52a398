import { Worker } from 'node:worker_threads'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { SharedMemory } from './shared-memory.ts'
import type { Command, Report, WriterData } from './writer-messages.ts'
import { ThreadFile, type WriterListener, type WrittenFile } from './written-file.ts'

/** A writer thread needs a hash, a file and a few messages; Node's own defaults would let it keep tens of MiB. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
/** A thread costs 8 MiB (13 in Node 24) for as long as it is there. */
const IDLE_MS = 30_000

/** The threads that hash and write, started when first needed, and again after one has died or was idle for long. */
export class Writers {
  readonly #memory: SharedMemory
  readonly #most: number
  readonly #idleMs: number
  readonly #threads = new Set<Thread>()

  constructor(memory: SharedMemory, threads: number, { idleMs = IDLE_MS } = {}) {
    this.#memory = memory
    this.#most = Math.max(1, threads)
    this.#idleMs = idleMs
  }

  /**
   * Hashes the `from` bytes that `fd` has already, then what is written. `fd` is open for reading and writing; without
   * one, everything is only hashed.
   */
  open(fd: number | undefined, wanted: Digest, from: number, listener: WriterListener): WrittenFile {
    return this.#idlest().open(fd, wanted, from, listener)
  }

  /** Starts a thread if there is none: it takes tens of milliseconds, in which upstream can be asked. */
  prepare(): void {
    if (this.#threads.size === 0) this.#start()
  }

  /** All files have been ended before. */
  async stop(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  #idlest(): Thread {
    const [best] = [...this.#threads].sort((one, other) => one.load - other.load)
    return best === undefined || (best.load > 0 && this.#threads.size < this.#most) ? this.#start() : best
  }

  #start(): Thread {
    const thread = new Thread(this.#memory.buffer, this.#idleMs, () => this.#threads.delete(thread))
    this.#threads.add(thread)
    return thread
  }
}

class Thread {
  readonly #worker: Worker
  readonly #files = new Map<number, ThreadFile>()
  readonly #idleMs: number
  readonly #onGone: () => void
  #idle: NodeJS.Timeout | undefined
  #next = 1

  constructor(memory: SharedArrayBuffer, idleMs: number, onGone: () => void) {
    this.#idleMs = idleMs
    this.#onGone = onGone
    const workerData: WriterData = { memory }
    this.#worker = new Worker(new URL('./writer-thread.js', import.meta.url), {
      workerData,
      resourceLimits: LIMITS,
      name: 'leat writer',
    })
    this.#worker.on('message', (report: Report) => this.#files.get(report.file)?.receive(report))
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#worker.on('exit', () => {
      clearTimeout(this.#idle)
      onGone()
      for (const file of [...this.#files.values()]) {
        file.lost(new Failure('disk', 'a writer thread has died', { cause }))
      }
    })
    this.#rest()
  }

  get load(): number {
    return this.#files.size
  }

  open(fd: number | undefined, wanted: Digest, from: number, listener: WriterListener): WrittenFile {
    clearTimeout(this.#idle)
    this.#worker.ref()
    const number = this.#next++
    const post = (command: Command): void => this.#worker.postMessage(command)
    post({ do: 'open', file: number, fd, algorithm: algorithmOf(wanted) })
    const file = new ThreadFile(number, wanted, from, post, listener, () => {
      this.#files.delete(number)
      if (this.#files.size === 0) this.#rest()
    })
    this.#files.set(number, file)
    return file
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idle)
    // At once, so that nobody is given a thread that is going.
    this.#onGone()
    await this.#worker.terminate()
  }

  /** An idle thread does not keep the program running, and goes after a while. */
  #rest(): void {
    this.#worker.unref()
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => void this.stop(), this.#idleMs).unref()
  }
}
