/** Bounds the requests for parts of all flights together, and with them their memory. */
export class RequestSlots {
  readonly #most: number
  #used = 0
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = most
  }

  /** Takes a slot. False: none is free, and `onFree` is called once when one is. */
  take(onFree: () => void): boolean {
    if (this.#used >= this.#most) {
      this.#waiting.add(onFree)
      return false
    }
    this.#used += 1
    return true
  }

  giveBack(): void {
    this.#used -= 1
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const onFree of waiting) onFree()
  }

  /** It does not wait any more. */
  forget(onFree: () => void): void {
    this.#waiting.delete(onFree)
  }
}
