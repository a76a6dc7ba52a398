import type { Exchange } from './exchange.ts'
import { FairShare, type ShareLimits } from './fair-share.ts'
import type { Reject } from './rejections.ts'

export interface AnswerLimits extends ShareLimits {
  /** An answer that its client has not taken for so long makes room for another. */
  readonly slowMs: number
}

/** How many may be told that there are too many. */
const REFUSALS_SHARE = 1 / 8

/**
 * The answers under way. There are only so many, because each holds a request and at most a small body in memory, also
 * while its client takes nothing of it.
 */
export class Answers {
  readonly #most: number
  readonly #slowMs: number
  readonly #share: FairShare
  readonly #reject: Reject
  readonly #exchanges = new Set<Exchange>()

  constructor(limits: AnswerLimits, reject: Reject) {
    this.#most = limits.total
    this.#slowMs = limits.slowMs
    this.#share = new FairShare(limits)
    this.#reject = reject
  }

  get size(): number {
    return this.#exchanges.size
  }

  /** `refused`: it is to be told to come back. `dropped`: there is not even room to tell it, and its end has been made. */
  begin(exchange: Exchange): 'welcome' | 'refused' | 'dropped' {
    if (this.#share.isFull) this.#dropSlowest()
    const isWelcome = this.#share.mayTake(exchange)
    if (!isWelcome) this.#reject('answers')
    if (!isWelcome && this.#exchanges.size >= this.#most * (1 + REFUSALS_SHARE)) {
      exchange.evict()
      return 'dropped'
    }
    this.#share.take(exchange)
    this.#exchanges.add(exchange)
    return isWelcome ? 'welcome' : 'refused'
  }

  end(exchange: Exchange): void {
    if (this.#exchanges.delete(exchange)) this.#share.giveBack(exchange)
  }

  /** One that has been given whole, and that its client does not take. */
  #dropSlowest(): void {
    const since = performance.now() - this.#slowMs
    for (const exchange of this.#exchanges) {
      if (exchange.answeredAt === undefined || exchange.answeredAt > since) continue
      this.end(exchange)
      this.#reject('slow')
      exchange.evict()
      return
    }
  }
}
