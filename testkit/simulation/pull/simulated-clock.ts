interface Timer {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
}

/** Runs callbacks in simulated time: a heap ordered by time, and then by the order in which they were set. */
export class SimulatedClock {
  nowMs = 0
  readonly #heap: Timer[] = []
  #nextSequence = 0

  after(ms: number, run: () => void): void {
    const heap = this.#heap
    const timer = { atMs: this.nowMs + ms, sequence: this.#nextSequence++, run }
    let at = heap.length
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt] as Timer
      if (isBefore(parent, timer)) break
      heap[at] = parent
      at = parentAt
    }
    heap[at] = timer
  }

  /** Runs everything that is due until this time, and sets the clock to it. */
  advanceTo(untilMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#removeFirst()
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.run()
    }
    this.nowMs = untilMs
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Timer
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= heap.length) break
      const hasSecond = childAt + 1 < heap.length
      if (hasSecond && isBefore(heap[childAt + 1] as Timer, heap[childAt] as Timer)) childAt += 1
      if (isBefore(last, heap[childAt] as Timer)) break
      heap[at] = heap[childAt] as Timer
      at = childAt
    }
    heap[at] = last
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.atMs === other.atMs ? one.sequence < other.sequence : one.atMs < other.atMs
}
