/** Bounds the requests for ranges of all flights together, and with them their memory. One host may have half of them. */
export class RequestSlots {
  readonly #most: number
  /** How many slots are taken, by the name of the host. */
  readonly #used = new Map<string, number>()
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = most
  }

  get usedCount(): number {
    let count = 0
    for (const used of this.#used.values()) count += used
    return count
  }

  /**
   * Takes a slot for a request to `host`. False: none is free, and `onFree` is called once when one may be. What leaves some to
   * others gets none of the last quarter of the host.
   */
  take(host: string, onFree: () => void, { leavesSome = false } = {}): boolean {
    const used = this.#used.get(host) ?? 0
    const mostOfHost = (this.#most / 2) * (leavesSome ? 0.75 : 1)
    if (this.usedCount >= this.#most || used >= mostOfHost) {
      this.#waiting.add(onFree)
      return false
    }
    this.#used.set(host, used + 1)
    return true
  }

  giveBack(host: string): void {
    const used = this.#used.get(host) ?? 0
    if (used > 1) this.#used.set(host, used - 1)
    else this.#used.delete(host)
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const onFree of waiting) onFree()
  }

  /** It does not wait any more. */
  forget(onFree: () => void): void {
    this.#waiting.delete(onFree)
  }
}
