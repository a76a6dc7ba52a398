import { BoundedMap } from '../../../lib/bounded-map.ts'

/** How many values stay in memory; each is a few hundred bytes. */
const MOST_VALUES = 4096

/** The changes of one key that are under way. */
interface Changing {
  count: number
  /** More than one change was under way at a time: nobody knows which was written last. */
  hasOverlapped: boolean
}

/**
 * Values of the index in memory, by key, for keys that are read often. Every change of such a key is made by `change`: a value
 * that was read before the change has ended is not remembered after it.
 */
export class KeyMemory<Value> {
  readonly #values = new BoundedMap<string, Value>(MOST_VALUES)
  /** The reads under way whose values may be remembered, and the changes under way, by key. */
  readonly #reads = new Map<string, Promise<Value | undefined>>()
  readonly #changes = new Map<string, Changing>()

  /** Gives the value if it is in memory. */
  known(key: string): Value | undefined {
    return this.#values.get(key)
  }

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

  /** Runs `write`, which changes keys to these values; undefined: a key is removed, or its value is not worth remembering. */
  async change(values: ReadonlyMap<string, Value | undefined>, write: () => Promise<void>): Promise<void> {
    for (const key of values.keys()) this.#begin(key)
    let isWritten = false
    try {
      await write()
      isWritten = true
    } finally {
      for (const [key, value] of values) this.#end(key, isWritten ? value : undefined)
    }
  }

  #begin(key: string): void {
    const changing = this.#changes.get(key)
    if (changing === undefined) this.#changes.set(key, { count: 1, hasOverlapped: false })
    else {
      changing.count += 1
      changing.hasOverlapped = true
    }
    this.#values.delete(key)
    this.#reads.delete(key)
  }

  #end(key: string, value: Value | undefined): void {
    const changing = this.#changes.get(key)
    if (changing === undefined) return
    changing.count -= 1
    if (changing.count > 0) return
    this.#changes.delete(key)
    if (value !== undefined && !changing.hasOverlapped) this.#values.set(key, value)
  }
}
