import type { Digest } from '../../oci/digest.ts'
import type { EvictionOrder } from './eviction-order.ts'

/** So many uses are remembered at most before they are written, however short the time since the last writing. */
const UNWRITTEN_LIMIT = 10_000

/** When blobs were last used: kept in memory and written together now and then, never one write for each hit. */
export class LastUse {
  readonly #order: EvictionOrder
  readonly #timer: NodeJS.Timeout
  /** Not written yet, or being written. */
  #unwritten = new Map<Digest, number>()
  #writing: Map<Digest, number> | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(order: EvictionOrder, { everyMs = 30_000 } = {}) {
    this.#order = order
    this.#timer = setInterval(() => void this.flush().catch(() => {}), everyMs).unref()
  }

  mark(digest: Digest): void {
    this.#unwritten.set(digest, Date.now())
    if (this.#unwritten.size >= UNWRITTEN_LIMIT && this.#writing === undefined)
      void this.flush().catch(() => {})
  }

  forget(digest: Digest): void {
    this.#unwritten.delete(digest)
  }

  /** Used since its place in the line was written. */
  hasUnwrittenUse(digest: Digest): boolean {
    return this.#unwritten.has(digest) || this.#writing?.has(digest) === true
  }

  /** Milliseconds since the epoch, for each; undefined: not since it was stored. */
  async of(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const known = digests.map((digest) => this.#unwritten.get(digest) ?? this.#writing?.get(digest))
    const unknown = digests.filter((_, at) => known[at] === undefined)
    if (unknown.length === 0) return known
    const times = await this.#order.lastUses(unknown)
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
    if (this.#unwritten.size === 0) return
    const writing = this.#unwritten
    this.#writing = writing
    this.#unwritten = new Map()
    try {
      await this.#order.ensureComplete()
      await this.#order.updateUses(writing)
    } catch (error) {
      // Bounded by what was there: later uses of the same blobs replace the earlier ones.
      if (writing.size + this.#unwritten.size <= UNWRITTEN_LIMIT * 2)
        this.#unwritten = new Map([...writing, ...this.#unwritten])
      throw error
    } finally {
      this.#writing = undefined
    }
  }
}
