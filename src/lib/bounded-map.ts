interface BoundedMapOptions {
  /** How long after it was set an entry is forgotten; undefined: never. */
  readonly ttlMs?: number
  /** The time in milliseconds. The default is a clock that is never set back. */
  readonly now?: () => number
}

interface Entry<Value> {
  readonly value: Value
  readonly setAt: number
}

/**
 * A map with a bound on its entries. When it is full, it forgets the entry that was set longest ago. Setting a known key
 * moves its entry to the end; getting it does not.
 */
export class BoundedMap<Key, Value> {
  readonly #most: number
  readonly #ageMs: number | undefined
  readonly #now: () => number
  readonly #entries = new Map<Key, Entry<Value>>()

  constructor(most: number, { ttlMs, now = () => performance.now() }: BoundedMapOptions = {}) {
    this.#most = most
    this.#ageMs = ttlMs
    this.#now = now
  }

  /** Counts an entry that is too old until a lookup of its key forgets it. */
  get size(): number {
    return this.#entries.size
  }

  has(key: Key): boolean {
    return this.#fresh(key) !== undefined
  }

  get(key: Key): Value | undefined {
    return this.#fresh(key)?.value
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, setAt: this.#ageMs === undefined ? 0 : this.#now() })
    if (this.#entries.size <= this.#most) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  /** Gives the values, the one that was set longest ago first. */
  *values(): Generator<Value> {
    for (const entry of this.#entries.values()) if (!this.#isOld(entry)) yield entry.value
  }

  /** Gives the entry of a key, or forgets it if it is too old. */
  #fresh(key: Key): Entry<Value> | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || !this.#isOld(entry)) return entry
    this.#entries.delete(key)
    return undefined
  }

  #isOld({ setAt }: Entry<Value>): boolean {
    return this.#ageMs !== undefined && this.#now() - setAt >= this.#ageMs
  }
}
