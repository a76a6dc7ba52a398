import type { Exchange } from './exchange.ts'
import { FairShare, type ShareLimits } from './fair-share.ts'
import type { Reject } from './rejections.ts'

export interface AnswerLimits extends ShareLimits {
  /** An answer of which its client takes nothing for so long is ended. */
  readonly stallMs: number
  /** An answer that its client has not taken for so long makes room for another. */
  readonly slowMs: number
}

/** So often within the time after which an answer is stalled. */
const LOOKS = 10
/** How many may be told at once that there are too many. */
const MOST_REFUSALS = 64

/**
 * The answers under way. There are only so many, because each holds a request and at most a small body in memory, also
 * while its client takes nothing of it.
 */
export class Answers {
  readonly #slowMs: number
  readonly #stallMs: number
  readonly #share: FairShare
  readonly #reject: Reject
  readonly #exchanges = new Set<Exchange>()
  readonly #refused = new Set<Exchange>()
  #looking: NodeJS.Timeout | undefined

  constructor(limits: AnswerLimits, reject: Reject) {
    this.#slowMs = limits.slowMs
    this.#stallMs = limits.stallMs
    this.#share = new FairShare(limits)
    this.#reject = reject
  }

  get size(): number {
    return this.#exchanges.size + this.#refused.size
  }

  /** False when there is no room for it, and its client is to be told to come back. */
  begin(exchange: Exchange): boolean {
    this.#look()
    if (this.#share.isFull) this.#dropSlowest()
    if (this.#share.mayTake(exchange)) {
      this.#share.take(exchange)
      this.#exchanges.add(exchange)
      return true
    }
    this.#reject('answers')
    const [oldest] = this.#refused
    if (oldest !== undefined && this.#refused.size >= MOST_REFUSALS) this.#drop(oldest)
    this.#refused.add(exchange)
    return false
  }

  end(exchange: Exchange): void {
    this.#refused.delete(exchange)
    if (this.#exchanges.delete(exchange)) this.#share.giveBack(exchange)
  }

  /** Node's timer of each HTTP/2 stream would keep a stream that was destroyed until it fires; this is one for all. */
  #look(): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined
      const since = performance.now() - this.#stallMs
      for (const exchange of [...this.#exchanges, ...this.#refused]) {
        if ((exchange.waitsSince ?? Number.POSITIVE_INFINITY) > since) continue
        this.#reject('stalled')
        this.#drop(exchange)
      }
      if (this.size > 0) this.#look()
    }, this.#stallMs / LOOKS).unref()
  }

  /** One that has been given whole, and that its client does not take. */
  #dropSlowest(): void {
    const since = performance.now() - this.#slowMs
    for (const exchange of this.#exchanges) {
      if (exchange.answeredAt === undefined || exchange.answeredAt > since) continue
      this.#reject('slow')
      this.#drop(exchange)
      return
    }
  }

  #drop(exchange: Exchange): void {
    this.end(exchange)
    exchange.evict()
  }
}
