interface Entry {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What is to happen when, in simulated milliseconds: a heap by time, then by the order in which it was said. */
export class Clock {
  now = 0
  readonly #heap: Entry[] = []
  #said = 0

  after(ms: number, run: () => void): void {
    const heap = this.#heap
    const entry = { at: this.now + ms, order: this.#said++, run }
    let at = heap.length
    while (at > 0) {
      const up = (at - 1) >> 1
      const above = heap[up] as Entry
      if (isBefore(above, entry)) break
      heap[at] = above
      at = up
    }
    heap[at] = entry
  }

  /** Goes on to a time; all that is due by then happens, in order. */
  pass(until: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#pop()
      this.now = Math.max(this.now, next.at)
      next.run()
    }
    this.now = until
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && isBefore(heap[down + 1] as Entry, heap[down] as Entry)) down += 1
      if (isBefore(last, heap[down] as Entry)) break
      heap[at] = heap[down] as Entry
      at = down
    }
    heap[at] = last
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at === other.at ? one.order < other.order : one.at < other.at
}
