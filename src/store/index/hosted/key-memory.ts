import { BoundedMap } from '../../../lib/bounded-map.ts'

/** How many values stay in memory; each is a few hundred bytes. */
const MOST_VALUES = 4096

/**
 * Values of the index in memory, by key, for keys that are read often. Every change of such a key is made by `change`: a value
 * that was read before the change has ended is not remembered after it.
 */
export class KeyMemory<Value> {
  readonly #values = new BoundedMap<string, Value>(MOST_VALUES)
  /** The reads under way whose values may be remembered, and the changes under way, by key. */
  readonly #reads = new Map<string, Promise<Value | undefined>>()
  readonly #changes = new Map<string, number>()

  /** Gives the value from memory, or else from `load`, which concurrent callers share. Undefined is not remembered. */
  async read(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const known = this.#values.get(key)
    if (known !== undefined) {
      // Setting moves the value to the end: the map drops the first, which was not needed for longest.
      this.#values.set(key, known)
      return known
    }
    if (this.#changes.has(key)) return load()
    const read = this.#reads.get(key) ?? load()
    this.#reads.set(key, read)
    try {
      const value = await read
      if (value !== undefined && this.#reads.get(key) === read) this.#values.set(key, value)
      return value
    } finally {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
  }

  /** Runs `write`, which changes the values of `keys`. */
  async change(keys: readonly string[], write: () => Promise<void>): Promise<void> {
    for (const key of keys) {
      this.#changes.set(key, (this.#changes.get(key) ?? 0) + 1)
      this.#forget(key)
    }
    try {
      await write()
    } finally {
      for (const key of keys) this.#endChange(key)
    }
  }

  #endChange(key: string): void {
    const others = (this.#changes.get(key) ?? 1) - 1
    if (others > 0) this.#changes.set(key, others)
    else this.#changes.delete(key)
  }

  #forget(key: string): void {
    this.#values.delete(key)
    this.#reads.delete(key)
  }
}
