interface BoundedMapOptions {
  /** An entry is forgotten so long after it was set. Default: never. */
  readonly ttlMs?: number
  /** In milliseconds. Default: a clock that is never set back. */
  readonly now?: () => number
}

interface Entry<Value> {
  readonly value: Value
  readonly setAt: number
}

/**
 * A map of at most so many entries, which forgets the one that was set longest ago. To set a key that is known moves it to
 * the end; to get it does not.
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

  /** Entries that are too old count until somebody asks for them. */
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

  /** The one that was set longest ago comes first. */
  *values(): Generator<Value> {
    for (const entry of this.#entries.values()) if (!this.#isOld(entry)) yield entry.value
  }

  /** Forgets the entry if it is too old. */
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
