import type { Digest } from '../../oci/digest.ts'
import type { EvictionOrder } from './eviction-order.ts'

/** At 10,000 unwritten uses they are written without waiting for the timer, so that their memory is bounded. */
const UNWRITTEN_LIMIT = 10_000

/** When blobs were last used. Uses are collected in memory and written together, never one write for each request. */
export class LastUse {
  readonly #order: EvictionOrder
  readonly #timer: NodeJS.Timeout
  /** Uses that are not written yet; `#writing` has those that are being written. */
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

  /** The blob was used since its rank was written. */
  hasUnwrittenUse(digest: Digest): boolean {
    return this.#unwritten.has(digest) || this.#writing?.has(digest) === true
  }

  /** Gives the last use of each blob, in milliseconds since the epoch; undefined if it was not used since it was stored. */
  async of(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const known = digests.map((digest) => this.#unwritten.get(digest) ?? this.#writing?.get(digest))
    const unknown = digests.filter((_, at) => known[at] === undefined)
    if (unknown.length === 0) return known
    const times = await this.#order.lastUses(unknown)
    let next = 0
    return known.map((time) => time ?? times[next++])
  }

  /** Writes all uses. After a failure they are written at the next call. */
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
      // Later uses replace earlier ones of the same blobs. The bound holds also while every write fails.
      if (writing.size + this.#unwritten.size <= UNWRITTEN_LIMIT * 2)
        this.#unwritten = new Map([...writing, ...this.#unwritten])
      throw error
    } finally {
      this.#writing = undefined
    }
  }
}
