import { FairShare, type ShareLimits } from '../connections/fair-share.ts'
import type { ReportRejection } from '../connections/rejections.ts'
import type { Exchange } from './exchange.ts'

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
  readonly #reportRejection: ReportRejection
  readonly #exchanges = new Set<Exchange>()
  readonly #refused = new Set<Exchange>()
  #looking: NodeJS.Timeout | undefined

  constructor(limits: AnswerLimits, reportRejection: ReportRejection) {
    this.#slowMs = limits.slowMs
    this.#stallMs = limits.stallMs
    this.#share = new FairShare(limits)
    this.#reportRejection = reportRejection
  }

  get size(): number {
    return this.#exchanges.size + this.#refused.size
  }

  /** False when there is no room for it, and its client is to be told to come back. */
  begin(exchange: Exchange): boolean {
    this.#look()
    if (!this.#share.mayTake(exchange) && this.#share.isBelowOwnLimits(exchange)) this.#makeRoom(exchange)
    if (this.#share.mayTake(exchange)) {
      this.#share.take(exchange)
      this.#exchanges.add(exchange)
      return true
    }
    this.#reportRejection('answers')
    const [oldest] = this.#refused
    if (oldest !== undefined && this.#refused.size >= MOST_REFUSALS) this.#drop(oldest)
    this.#refused.add(exchange)
    return false
  }

  end(exchange: Exchange): void {
    this.#refused.delete(exchange)
    if (this.#exchanges.delete(exchange)) this.#share.release(exchange)
  }

  /** Node's timer of each HTTP/2 stream would keep a stream that was destroyed until it fires; this is one for all. */
  #look(): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined
      const since = performance.now() - this.#stallMs
      for (const exchange of [...this.#exchanges, ...this.#refused]) {
        // The socket's own timer sees to HTTP/1.1, and sees a part of a write move on.
        if (exchange.protocol === 'http/1.1' || (exchange.waitsSince ?? Number.POSITIVE_INFINITY) > since)
          continue
        this.#reportRejection('stalled')
        this.#drop(exchange)
      }
      if (this.size > 0) this.#look()
    }, this.#stallMs / LOOKS).unref()
  }

  /** An answer that was given whole and is not taken, or else one of whoever has many, makes room for a newcomer. */
  #makeRoom(newcomer: Exchange): void {
    const since = performance.now() - this.#slowMs
    // Some may be free for clients on this machine only: then it takes an answer of another to make room for another.
    const isFull = this.#share.isFull
    let most = this.#share.largeShareFor(newcomer)
    let found: Exchange | undefined
    for (const exchange of this.#exchanges) {
      if (!isFull && exchange.client.isLocal) continue
      if (exchange.state === 'answered' && (exchange.waitsSince ?? since) < since) {
        found = exchange
        break
      }
      const share = this.#share.shareOf(exchange)
      if (share < most) continue
      found = exchange
      most = share + 1
    }
    if (found === undefined) return
    this.#reportRejection('slow')
    this.#drop(found)
  }

  #drop(exchange: Exchange): void {
    this.end(exchange)
    exchange.evict()
  }
}
