/** How long memory that nobody uses is kept. */
const IDLE_MS = 10_000

/** Memory for ranges that are read before their turn. All flights share it; nobody waits for it. */
export class ReadAheadMemory {
  readonly bytesEach: number
  readonly #most: number
  #free: Uint8Array[] = []
  #lent = 0
  #idleTimer: NodeJS.Timeout | undefined

  constructor({ bytesEach, most }: { bytesEach: number; most: number }) {
    this.bytesEach = bytesEach
    this.#most = most
  }

  /** Lends all that is free now, at most `count`. */
  take(count: number): Uint8Array[] {
    clearTimeout(this.#idleTimer)
    const taken = Math.min(count, this.#most - this.#lent)
    this.#lent += taken
    return Array.from({ length: taken }, () => this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bytesEach))
  }

  /** Takes memory back that nothing writes into any more. */
  giveBack(memories: readonly Uint8Array[]): void {
    this.#lent -= memories.length
    this.#free.push(...memories)
    if (this.#lent > 0) return
    this.#idleTimer = setTimeout(() => {
      this.#free = []
    }, IDLE_MS).unref()
  }
}
