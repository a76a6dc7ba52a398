/** Which sides have ended the current exchange of a connection. The exchange is over when both have. */
export class ExchangeEnd {
  #isEndedByPeer = false
  #isEndedByThisSide = false
  #onOver: (() => void) | undefined

  /** The peer says nothing more in this exchange. */
  get isEndedByPeer(): boolean {
    return this.#isEndedByPeer
  }

  /** This side says nothing more, and ignores the messages that still come. */
  get isEndedByThisSide(): boolean {
    return this.#isEndedByThisSide
  }

  /** A new exchange begins. */
  reset(): void {
    this.#isEndedByPeer = false
    this.#isEndedByThisSide = false
  }

  endByPeer(): void {
    this.#isEndedByPeer = true
    this.#callIfOver()
  }

  /** Calls `onOver` when the peer has ended the exchange too. */
  endByThisSide(onOver: () => void): void {
    this.#isEndedByThisSide = true
    this.#onOver = onOver
    this.#callIfOver()
  }

  #callIfOver(): void {
    if (!this.#isEndedByPeer || !this.#isEndedByThisSide) return
    const onOver = this.#onOver
    this.#onOver = undefined
    onOver?.()
  }
}
