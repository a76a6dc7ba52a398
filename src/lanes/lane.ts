import { Worker } from 'node:worker_threads'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { Failure } from '../ports/failure.ts'
import { LaneConnection } from './lane-connection.ts'
import { LaneFile, type LaneFileListener } from './lane-file.ts'
import type { LaneCommand, LaneData, LaneReport, LaneTarget, LaneTls } from './thread/messages.ts'

/** A lane needs a hash, files, sockets and a few messages; Node's defaults would let it keep tens of MiB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** A server, as `LaneTarget`, with its TLS settings: one object for all connections with the same settings. */
export interface ConnectionTarget extends Omit<LaneTarget, 'tls'> {
  readonly tls: LaneTls | undefined
}

/** The main thread's side of one lane. */
export class Lane {
  readonly #worker: Worker
  readonly #files = new Map<number, LaneFile>()
  readonly #connections = new Map<number, LaneConnection>()
  readonly #busy = new Set<number>()
  readonly #tlsNumbers = new Map<LaneTls, number>()
  readonly #idleMs: number
  readonly #onEnded: () => void
  #idleTimer: NodeJS.Timeout | undefined
  #nextNumber = 1
  #isStopping = false

  constructor(memory: SharedArrayBuffer, idleMs: number, onEnded: () => void) {
    this.#idleMs = idleMs
    this.#onEnded = onEnded
    const workerData: LaneData = { memory }
    this.#worker = new Worker(new URL('./thread/lane-thread.js', import.meta.url), {
      workerData,
      resourceLimits: RESOURCE_LIMITS,
      name: 'leat lane',
    })
    this.#worker.on('message', (report: LaneReport) => {
      if ('file' in report) this.#files.get(report.file)?.receive(report)
      else this.#connections.get(report.connection)?.receive(report)
    })
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#worker.on('exit', () => {
      clearTimeout(this.#idleTimer)
      onEnded()
      const failure = new Failure('disk', 'a lane has died', { cause })
      for (const file of [...this.#files.values()]) file.threadDied(failure)
      const error = new Error('the lane of the connection has ended', { cause })
      for (const connection of [...this.#connections.values()]) connection.laneDied(error)
    })
    this.#startIdleTimer()
  }

  /** How many files the lane has open, and how many connections are in use. */
  get load(): number {
    return this.#files.size + this.#busy.size
  }

  open(fd: number | undefined, wanted: Digest, from: number, listener: LaneFileListener): LaneFile {
    this.#begin()
    const number = this.#nextNumber++
    const post = (command: LaneCommand): void => this.#worker.postMessage(command)
    post({ do: 'open', file: number, fd, algorithm: algorithmOf(wanted) })
    const file = new LaneFile(number, wanted, from, post, listener, () => {
      this.#files.delete(number)
      this.#endIfIdle()
    })
    this.#files.set(number, file)
    return file
  }

  /** Connects. The signal aborts only the connecting. */
  async connect(target: ConnectionTarget, { signal }: { signal: AbortSignal }): Promise<LaneConnection> {
    signal.throwIfAborted()
    const number = this.#nextNumber++
    const connection = new LaneConnection(number, {
      post: (command) => this.#worker.postMessage(command),
      setIdle: (isIdle) => this.#setIdle(number, isIdle),
      onClosed: () => {
        this.#connections.delete(number)
        this.#setIdle(number, true)
      },
      stop: () => void this.stop(),
    })
    this.#connections.set(number, connection)
    this.#setIdle(number, false)
    const abort = (): void => connection.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      await connection.connect({ ...target, tls: target.tls && this.#numberOf(target.tls) })
      return connection
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#idleTimer)
    // The pool forgets the lane at once, so that nothing is given to a lane that is ending.
    this.#onEnded()
    await this.#worker.terminate()
  }

  /** Tells the lane TLS settings at their first use. */
  #numberOf(settings: LaneTls): number {
    let number = this.#tlsNumbers.get(settings)
    if (number === undefined) {
      number = this.#nextNumber++
      this.#tlsNumbers.set(settings, number)
      this.#worker.postMessage({ do: 'tls', tls: number, settings } satisfies LaneCommand)
    }
    return number
  }

  #setIdle(connection: number, isIdle: boolean): void {
    if (isIdle) {
      if (this.#busy.delete(connection)) this.#endIfIdle()
      return
    }
    this.#begin()
    this.#busy.add(connection)
  }

  #begin(): void {
    clearTimeout(this.#idleTimer)
    this.#worker.ref()
  }

  #endIfIdle(): void {
    // The process must wait for the end of a lane that is stopping.
    if (this.load === 0 && !this.#isStopping) this.#startIdleTimer()
  }

  /** An idle lane does not keep the process running, and ends after `idleMs`. Its idle connections end with it. */
  #startIdleTimer(): void {
    this.#worker.unref()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.stop(), this.#idleMs).unref()
  }
}
