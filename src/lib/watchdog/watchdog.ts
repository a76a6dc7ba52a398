import { url as debuggerUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'
import { BEATS, FIELDS, IS_DEBUGGED, IS_STOPPED, type WatchdogData } from './messages.ts'

const TICK_MS = 1_000
/** A main thread whose event loop has not moved for five ticks hangs, although others had a little of the processor meanwhile. */
const HANGS_TICKS = 4.5
/** The thread keeps a few numbers; Node's defaults would let it keep tens of MiB. With 4 MiB it does not start. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

export interface WatchdogOptions {
  /** Written to stderr before the end. */
  readonly lastLine: string
  /** The thread has died, and nothing ends a process that hangs. */
  readonly onDied: (error: Error) => void
  /** How often the thread looks at the main thread; default 1 s. */
  readonly tickMs?: number
}

/**
 * Ends the process by SIGKILL when the event loop of this thread has not moved for five ticks (five seconds), so that its
 * clients get a closed connection and go elsewhere, and whoever supervises the process starts it again. A main thread that
 * hangs cannot end itself; a thread of its own can. Time in which the main thread waits for a processor, or in which the
 * whole process is stopped, does not count, nor does a debugger.
 */
export class Watchdog {
  readonly #fields = new Int32Array(new SharedArrayBuffer(FIELDS * Int32Array.BYTES_PER_ELEMENT))
  readonly #timer: NodeJS.Timeout
  readonly #thread: Worker

  constructor({ lastLine, onDied, tickMs = TICK_MS }: WatchdogOptions) {
    this.#beat()
    // Twice in a tick, so that no tick passes without a beat by chance.
    this.#timer = setInterval(() => this.#beat(), tickMs / 2).unref()
    const workerData: WatchdogData = {
      memory: this.#fields.buffer,
      // On Linux the main thread has the number of the process.
      thread: process.pid,
      hangsMs: HANGS_TICKS * tickMs,
      tickMs,
      lastLine,
    }
    this.#thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
      workerData,
      resourceLimits: RESOURCE_LIMITS,
      // The flags of the process, such as that of a debugger, are not for this thread.
      execArgv: [],
      name: 'leat watchdog',
    })
    this.#thread.on('error', onDied)
    this.#thread.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    Atomics.store(this.#fields, IS_STOPPED, 1)
    Atomics.notify(this.#fields, IS_STOPPED)
    await this.#thread.terminate()
  }

  #beat(): void {
    Atomics.add(this.#fields, BEATS, 1)
    Atomics.store(this.#fields, IS_DEBUGGED, debuggerUrl() === undefined ? 0 : 1)
  }
}
