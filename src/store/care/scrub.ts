import { pause } from '../../lib/async/abort.ts'
import { RateLimiter } from '../../lib/async/rate-limiter.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import type { Database } from '../database/database.ts'
import { type InspectedStore, Inspector } from './inspection.ts'
import { NO_PROGRESS, readProgress, type ScrubProgress, writeProgress } from './scrub-progress.ts'

/** A blob that was hashed again. */
export interface Verified {
  readonly digest: Digest
  readonly size: number
  readonly ok: boolean
  /** What the file has instead; undefined for an intact blob. */
  readonly found: string | undefined
}

export interface VerifyOptions {
  readonly signal: AbortSignal
  /** Default: no limit. */
  readonly bytesPerSecond?: number | undefined
  /** Called with the bytes read since the last call, also within large blobs. */
  readonly onProgress?: (bytes: number) => void
}

export interface IdleScrubOptions {
  readonly bytesPerSecond: number
  /** Whether the disk is idle enough that reading it slows no request down. */
  readonly isQuiet: () => boolean
  /** Time between the end of a round and the start of the next. */
  readonly everyMs?: number
  /** How often `isQuiet` is asked while it is false. */
  readonly lookMs?: number
}

export interface ScrubState {
  /** A call of `verify` is running. */
  readonly isVerifying: boolean
  /** A round of the scrub has begun, though it may be waiting for the disk to be idle. */
  readonly isRunning: boolean
  /** Rotted blobs found in this round. */
  readonly found: number
  readonly lastRound: ScrubProgress['lastRound']
}

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']
/** Every blob is hashed again about every two weeks. */
const ROUND_MS = 14 * 24 * 60 * 60 * 1000
const LOOK_MS = 5_000
const SAVE_MS = 10_000
/** The pause after a failed round, and the longest time between two readings of the clock, which may be set meanwhile. */
const PAUSE_MS = 60 * 60 * 1000

/** A small file counts as 64 KiB: it must be found, opened and closed, too. */
const LEAST_BYTES = 64 * 1024

/** Limits one scrub or verification to a rate in bytes per second; without a rate there is no limit. */
class ReadThrottle {
  /** How many bytes to read at a time: an eighth of a second of the rate, but 1 KiB to 1 MiB; without a rate 4 MiB. */
  readonly pieceBytes: number
  /** At a low rate a small file must not take longer than a piece of a large one. */
  readonly #leastBytes: number
  readonly #limiter: RateLimiter

  constructor(rate: number | undefined) {
    this.pieceBytes =
      rate === undefined ? 4 * 1024 * 1024 : Math.min(Math.max(Math.ceil(rate / 8), 1024), 1024 * 1024)
    this.#leastBytes = Math.min(LEAST_BYTES, this.pieceBytes)
    this.#limiter = new RateLimiter(rate)
  }

  /** Resolves when `bytes` may be read. Rejects when aborted. */
  async take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted()
    await this.#limiter.take(Math.max(bytes, this.#leastBytes), { signal })
  }
}

/** Hashes stored blobs again: little by little while the disk is idle, or all of them on request. */
export class Scrub {
  readonly #database: Database
  readonly #store: InspectedStore
  readonly #closing = new AbortController()
  readonly #inspector: Inspector
  #progress: ScrubProgress = NO_PROGRESS
  #loading: Promise<void> | undefined
  #verifying = 0
  #isRunning = false
  #savedAt = 0
  #idle: Promise<void> | undefined

  constructor(database: Database, shelved: InspectedStore) {
    this.#database = database
    this.#store = shelved
    this.#inspector = new Inspector(shelved)
  }

  async state(): Promise<ScrubState> {
    await this.#load()
    const { found, lastRound } = this.#progress
    return { isVerifying: this.#verifying > 0, isRunning: this.#isRunning, found, lastRound }
  }

  /** Checks all stored blobs in the order of digests. Blobs that are evicted or replaced meanwhile are left out. */
  async *verify({ signal, bytesPerSecond, onProgress }: VerifyOptions): AsyncGenerator<Verified> {
    const ending = AbortSignal.any([signal, this.#closing.signal])
    const throttle = new ReadThrottle(bytesPerSecond)
    const beforeRead = async (bytes: number): Promise<void> => {
      await throttle.take(bytes, { signal: ending })
      onProgress?.(bytes)
    }
    const inspector = new Inspector(this.#store)
    let found = 0
    this.#verifying += 1
    try {
      await this.#load()
      for await (const [digest, size] of this.#storedAfter(undefined)) {
        ending.throwIfAborted()
        const result = await inspector.inspect(digest, size, throttle.pieceBytes, beforeRead)
        if (result.state === 'gone') continue
        if (result.state === 'rotted') found += 1
        const hasRotted = result.state === 'rotted'
        yield { digest, size, ok: !hasRotted, found: hasRotted ? result.found : undefined }
      }
      ending.throwIfAborted()
      // A complete verification counts as a round of the scrub.
      await this.#save({ position: undefined, found: 0, lastRound: { endedAt: Date.now(), found } })
    } catch (error) {
      // A store that is being closed causes errors of its own: the signal's reason is the true one.
      ending.throwIfAborted()
      throw error
    } finally {
      this.#verifying -= 1
      await inspector.stop()
    }
  }

  /** Starts the scrub, which runs until `close`. */
  start(options: IdleScrubOptions): void {
    this.#idle ??= this.#run(options)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#idle
    await this.#inspector.stop()
  }

  async #run(options: IdleScrubOptions): Promise<void> {
    const { everyMs = ROUND_MS } = options
    const { signal } = this.#closing
    await this.#load().catch(() => {})
    while (!signal.aborted) {
      const sinceMs = Date.now() - (this.#progress.lastRound?.endedAt ?? Number.NEGATIVE_INFINITY)
      // A round that ended in the future was recorded while the clock was wrong.
      const waitMs = sinceMs < 0 || this.#progress.position !== undefined ? 0 : everyMs - sinceMs
      if (waitMs > 0) {
        await paused(Math.min(waitMs, PAUSE_MS), signal)
        continue
      }
      try {
        this.#isRunning = true
        await this.#round(options)
      } catch {
        // The disk or the index has failed, which requests report. The next round continues where this one ended.
        if (!signal.aborted) await paused(PAUSE_MS, signal)
      } finally {
        this.#isRunning = false
      }
    }
  }

  async #round({ bytesPerSecond, isQuiet, lookMs = LOOK_MS }: IdleScrubOptions): Promise<void> {
    const { signal } = this.#closing
    const throttle = new ReadThrottle(bytesPerSecond)
    const beforeRead = async (bytes: number): Promise<void> => {
      while (this.#verifying > 0 || !isQuiet()) await pause(lookMs, { signal, ref: false })
      await throttle.take(bytes, { signal })
    }
    const { lastRound: previousRound, position } = this.#progress
    try {
      for await (const [digest, size] of this.#storedAfter(position)) {
        signal.throwIfAborted()
        const result = await this.#inspector.inspect(digest, size, throttle.pieceBytes, beforeRead)
        // A verification of everything has ended meanwhile, and counts as this round.
        if (this.#progress.lastRound !== previousRound) return
        const hasRotted = result.state === 'rotted'
        const found = this.#progress.found + (hasRotted ? 1 : 0)
        this.#progress = { position: digest, found, lastRound: previousRound }
        if (performance.now() - this.#savedAt > SAVE_MS || hasRotted) await this.#save(this.#progress)
      }
      const lastRound = { endedAt: Date.now(), found: this.#progress.found }
      this.#progress = { position: undefined, found: 0, lastRound }
      // Only the progress has yet to be written.
      this.#isRunning = false
    } finally {
      await this.#save(this.#progress)
    }
  }

  /**
   * The stored blobs behind `after`, with their sizes, in the order of digests. They are read prefix by prefix: a round takes
   * hours, and an open iterator of LevelDB keeps all data alive that it can see.
   */
  async *#storedAfter(after: Digest | undefined): AsyncGenerator<readonly [Digest, number]> {
    for (const algorithm of ALGORITHMS) {
      for (const prefix of await this.#store.index.prefixes(algorithm)) {
        const start = `${algorithm}:${prefix}`
        if (after !== undefined && start < after.slice(0, start.length)) continue
        for (const [digest, entry] of await this.#store.index.entriesUnder(start)) {
          if (entry !== undefined && (after === undefined || digest > after)) yield [digest, entry.size]
        }
      }
    }
  }

  #load(): Promise<void> {
    this.#loading ??= readProgress(this.#database).then((progress) => {
      this.#progress = progress
    })
    return this.#loading
  }

  async #save(progress: ScrubProgress): Promise<void> {
    this.#progress = progress
    this.#savedAt = performance.now()
    await writeProgress(this.#database, progress)
  }
}

/** Resolves after `ms` or when aborted. Does not keep the process running. */
async function paused(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, { signal, ref: false }).catch(() => {})
}
