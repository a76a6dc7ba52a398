/** Holds the last `limit` items; adding one more drops the oldest. */
export class RingBuffer<Item> {
  readonly #items: Item[] = []
  readonly #limit: number
  #oldest = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Returns the item that was dropped. */
  add(item: Item): Item | undefined {
    if (this.#items.length < this.#limit) {
      this.#items.push(item)
      return undefined
    }
    const dropped = this.#items[this.#oldest]
    this.#items[this.#oldest] = item
    this.#oldest = (this.#oldest + 1) % this.#limit
    return dropped
  }

  *newestFirst(): Iterable<Item> {
    const { length } = this.#items
    for (let i = 1; i <= length; i++) {
      const item = this.#items[(this.#oldest - i + length) % length]
      if (item !== undefined) yield item
    }
  }
}
