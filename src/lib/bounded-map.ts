interface Age {
  /** An entry is forgotten so long after it was set. Default: never. */
  readonly ageMs?: number
  /** In milliseconds. Default: a clock that is never set back. */
  readonly now?: () => number
}

/**
 * A map of at most so many entries, which forgets the one that was set longest ago. To set a key that is known moves it to
 * the end; to get it does not.
 */
export class BoundedMap<Key, Value> {
  readonly #most: number
  readonly #ageMs: number | undefined
  readonly #now: () => number
  readonly #values = new Map<Key, Value>()
  /** Empty when entries have no age. */
  readonly #setAt = new Map<Key, number>()

  constructor(most: number, { ageMs, now = () => performance.now() }: Age = {}) {
    this.#most = most
    this.#ageMs = ageMs
    this.#now = now
  }

  /** With those that are too old, as long as nobody has asked for them. */
  get size(): number {
    return this.#values.size
  }

  has(key: Key): boolean {
    this.#forgetOld(key)
    return this.#values.has(key)
  }

  get(key: Key): Value | undefined {
    this.#forgetOld(key)
    return this.#values.get(key)
  }

  set(key: Key, value: Value): void {
    this.delete(key)
    this.#values.set(key, value)
    if (this.#ageMs !== undefined) this.#setAt.set(key, this.#now())
    if (this.#values.size <= this.#most) return
    for (const oldest of this.#values.keys()) {
      this.delete(oldest)
      return
    }
  }

  delete(key: Key): void {
    this.#values.delete(key)
    this.#setAt.delete(key)
  }

  /** The one that was set longest ago comes first. */
  *values(): Generator<Value> {
    for (const [key, value] of this.#values) if (!this.#isOld(key)) yield value
  }

  #forgetOld(key: Key): void {
    if (this.#isOld(key)) this.delete(key)
  }

  #isOld(key: Key): boolean {
    const setAt = this.#setAt.get(key)
    return this.#ageMs !== undefined && setAt !== undefined && this.#now() - setAt >= this.#ageMs
  }
}
