import { pause } from '../../lib/async/abort.ts'
import { RateLimiter } from '../../lib/async/rate-limiter.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import type { Database } from '../index/database.ts'
import { type InspectedStore, Inspector } from './inspection.ts'
import { NO_PROGRESS, readProgress, type ScrubProgress, writeProgress } from './scrub-progress.ts'

/** A blob that was re-hashed. */
export interface Verified {
  readonly digest: Digest
  readonly size: number
  readonly ok: boolean
  /** What was there instead; undefined for one that is right. */
  readonly found: string | undefined
}

export interface VerifyOptions {
  readonly signal: AbortSignal
  /** Default: as fast as the disk gives them. */
  readonly bytesPerSecond?: number | undefined
  /** Called with what was read since it was called before, also within large blobs. */
  readonly onProgress?: (bytes: number) => void
}

export interface IdleScrubOptions {
  readonly bytesPerSecond: number
  /** Nobody would feel it if the disk were read now. */
  readonly isQuiet: () => boolean
  /** So long after a full round the next one begins. */
  readonly everyMs?: number
  /** How often it is asked whether it is quiet. */
  readonly lookMs?: number
}

export interface ScrubState {
  /** Somebody is verifying everything now. */
  readonly isVerifying: boolean
  /** A round is under way, though it may wait until it is quiet. */
  readonly isRunning: boolean
  /** Rotten blobs since that round began. */
  readonly found: number
  readonly lastRound: ScrubProgress['lastRound']
}

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']
const ROUND_MS = 14 * 24 * 60 * 60 * 1000
const LOOK_MS = 5_000
const SAVE_MS = 10_000
/** After a round that could not be gone on with, and longest between two looks at the clock, which may be set. */
const PAUSE_MS = 60 * 60 * 1000

/** A small file takes its time too: to be found, opened and closed. */
const LEAST_BYTES = 64 * 1024

/** How one look at the disk keeps to so many bytes per second; undefined: as fast as it goes. */
class ReadThrottle {
  /** How much to take at a time, for steps that are neither felt nor too many. */
  readonly pieceBytes: number
  /** At a rate at which this would take long, a small file is not to take longer than a piece of a large one. */
  readonly #leastBytes: number
  readonly #limiter: RateLimiter

  constructor(rate: number | undefined) {
    this.pieceBytes =
      rate === undefined ? 4 * 1024 * 1024 : Math.min(Math.max(Math.ceil(rate / 8), 1024), 1024 * 1024)
    this.#leastBytes = Math.min(LEAST_BYTES, this.pieceBytes)
    this.#limiter = new RateLimiter(rate)
  }

  /** Resolves when it is time for so many bytes. Rejects when aborted. */
  async take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted()
    await this.#limiter.take(Math.max(bytes, this.#leastBytes), { signal })
  }
}

/** Re-hashes what is stored: when nobody needs the disk, a little at a time, or all of it now. */
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

  /** Everything that is stored, in the order of digests. What is evicted or replaced meanwhile is left out. */
  async *verify({ signal, bytesPerSecond, onProgress }: VerifyOptions): AsyncGenerator<Verified> {
    const ending = AbortSignal.any([signal, this.#closing.signal])
    const pace = new ReadThrottle(bytesPerSecond)
    const turn = async (bytes: number): Promise<void> => {
      await pace.take(bytes, { signal: ending })
      onProgress?.(bytes)
    }
    const inspection = new Inspector(this.#store)
    let found = 0
    this.#verifying += 1
    try {
      await this.#load()
      for await (const [digest, size] of this.#storedAfter(undefined)) {
        ending.throwIfAborted()
        const finding = await inspection.inspect(digest, size, pace.pieceBytes, turn)
        if (finding.state === 'gone') continue
        if (finding.state === 'rotten') found += 1
        const isRotten = finding.state === 'rotten'
        yield { digest, size, ok: !isRotten, found: isRotten ? finding.found : undefined }
      }
      ending.throwIfAborted()
      // As good as a round of its own.
      await this.#save({ position: undefined, found: 0, lastRound: { endedAt: Date.now(), found } })
    } catch (error) {
      // What a store that is closed meanwhile says of itself.
      ending.throwIfAborted()
      throw error
    } finally {
      this.#verifying -= 1
      await inspection.stop()
    }
  }

  /** From now on until `close`. */
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
      // A round that ended in the future says only that the clock was wrong.
      const waitMs = sinceMs < 0 || this.#progress.position !== undefined ? 0 : everyMs - sinceMs
      if (waitMs > 0) {
        await paused(Math.min(waitMs, PAUSE_MS), signal)
        continue
      }
      try {
        this.#isRunning = true
        await this.#round(options)
      } catch {
        // The disk has said no; whoever serves from it tells. What was looked at so far is kept.
        if (!signal.aborted) await paused(PAUSE_MS, signal)
      } finally {
        this.#isRunning = false
      }
    }
  }

  async #round({ bytesPerSecond, isQuiet, lookMs = LOOK_MS }: IdleScrubOptions): Promise<void> {
    const { signal } = this.#closing
    const pace = new ReadThrottle(bytesPerSecond)
    const turn = async (bytes: number): Promise<void> => {
      while (this.#verifying > 0 || !isQuiet()) await pause(lookMs, { signal, ref: false })
      await pace.take(bytes, { signal })
    }
    const { lastRound: before, position } = this.#progress
    try {
      for await (const [digest, size] of this.#storedAfter(position)) {
        signal.throwIfAborted()
        const finding = await this.#inspector.inspect(digest, size, pace.pieceBytes, turn)
        // Somebody has verified everything meanwhile.
        if (this.#progress.lastRound !== before) return
        const isRotten = finding.state === 'rotten'
        const found = this.#progress.found + (isRotten ? 1 : 0)
        this.#progress = { position: digest, found, lastRound: before }
        if (performance.now() - this.#savedAt > SAVE_MS || isRotten) await this.#save(this.#progress)
      }
      const lastRound = { endedAt: Date.now(), found: this.#progress.found }
      this.#progress = { position: undefined, found: 0, lastRound }
      // Only writing that down is left.
      this.#isRunning = false
    } finally {
      await this.#save(this.#progress)
    }
  }

  /**
   * What is stored behind `after`, with its size, in the order of digests; a shelf at a time, because a round takes
   * hours, and an iterator of LevelDB keeps alive all that it has seen.
   */
  async *#storedAfter(after: Digest | undefined): AsyncGenerator<readonly [Digest, number]> {
    for (const algorithm of ALGORITHMS) {
      for (let shelf = 0; shelf < 256; shelf++) {
        const start = `${algorithm}:${shelf.toString(16).padStart(2, '0')}`
        if (after !== undefined && start < after.slice(0, start.length)) continue
        for (const [digest, size] of await this.#store.index.sizesUnder(start)) {
          if (size !== undefined && (after === undefined || digest > after)) yield [digest, size]
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

/** Resolves when it is over or aborted; does not keep the program running. */
async function paused(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, { signal, ref: false }).catch(() => {})
}
