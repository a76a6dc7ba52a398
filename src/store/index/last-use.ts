import type { Digest } from '../../oci/digest.ts'
import type { Line } from './eviction-order.ts'

/** So many uses are remembered at most before they are written, however short the time since the last writing. */
const MOST = 10_000

/** When blobs were last used: kept in memory and written together now and then, never one write for each hit. */
export class LastUse {
  readonly #line: Line
  readonly #timer: NodeJS.Timeout
  /** Not written yet, or being written. */
  #fresh = new Map<Digest, number>()
  #writing: Map<Digest, number> | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(line: Line, { everyMs = 30_000 } = {}) {
    this.#line = line
    this.#timer = setInterval(() => void this.flush().catch(() => {}), everyMs).unref()
  }

  mark(digest: Digest): void {
    this.#fresh.set(digest, Date.now())
    if (this.#fresh.size >= MOST && this.#writing === undefined) void this.flush().catch(() => {})
  }

  forget(digest: Digest): void {
    this.#fresh.delete(digest)
  }

  /** Used since its place in the line was written. */
  isMarked(digest: Digest): boolean {
    return this.#fresh.has(digest) || this.#writing?.has(digest) === true
  }

  /** Milliseconds since the epoch, for each; undefined: not since it was stored. */
  async of(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const known = digests.map((digest) => this.#fresh.get(digest) ?? this.#writing?.get(digest))
    const unknown = digests.filter((_, at) => known[at] === undefined)
    if (unknown.length === 0) return known
    const times = await this.#line.times(unknown)
    let next = 0
    return known.map((time) => time ?? times[next++])
  }

  /** A failed writing is tried again with the next one. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(
      () => this.#flush(),
      () => this.#flush(),
    )
    return this.#flushing
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  async #flush(): Promise<void> {
    if (this.#fresh.size === 0) return
    const writing = this.#fresh
    this.#writing = writing
    this.#fresh = new Map()
    try {
      await this.#line.whole()
      await this.#line.move(writing)
    } catch (error) {
      // Bounded by what was there: later uses of the same blobs replace the earlier ones.
      if (writing.size + this.#fresh.size <= MOST * 2) this.#fresh = new Map([...writing, ...this.#fresh])
      throw error
    } finally {
      this.#writing = undefined
    }
  }
}
