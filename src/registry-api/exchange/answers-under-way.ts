import { FairShare, type ShareLimits } from '../connections/fair-share.ts'
import type { ReportRejection } from '../connections/rejections.ts'
import type { HttpExchange } from './http-exchange.ts'

export interface AnswerLimits extends ShareLimits {
  /** An answer of which its client takes nothing for so long is ended. */
  readonly stallMs: number
  /** A sent answer that its client has not taken for so long is ended when another answer would exceed the limit. */
  readonly slowMs: number
}

/** How often within `stallMs` all answers are checked, so that a stalled one is ended at most a tenth too late. */
const CHECKS_PER_STALL = 10
/** How many 503 answers may be under way at once. Each is small, but its client may not take it. */
const MAX_REFUSED = 64

/**
 * The answers under way. Their number is limited because each answer holds a request, and up to one small body, in
 * memory until its client has taken it.
 */
export class AnswersUnderWay {
  readonly #slowMs: number
  readonly #stallMs: number
  readonly #share: FairShare
  readonly #reportRejection: ReportRejection
  readonly #exchanges = new Set<HttpExchange>()
  /** Exchanges beyond the limit, whose clients are being sent a 503. */
  readonly #refused = new Set<HttpExchange>()
  #checkTimer: NodeJS.Timeout | undefined

  constructor(limits: AnswerLimits, reportRejection: ReportRejection) {
    this.#slowMs = limits.slowMs
    this.#stallMs = limits.stallMs
    this.#share = new FairShare(limits)
    this.#reportRejection = reportRejection
  }

  get size(): number {
    return this.#exchanges.size + this.#refused.size
  }

  /** Returns false when there are too many answers; the exchange is to be answered with 503 then. */
  begin(exchange: HttpExchange): boolean {
    this.#scheduleCheck()
    if (!this.#share.mayTake(exchange) && this.#share.isBelowOwnLimits(exchange)) this.#evictOneFor(exchange)
    if (this.#share.mayTake(exchange)) {
      this.#share.take(exchange)
      this.#exchanges.add(exchange)
      return true
    }
    this.#reportRejection('answers')
    const [oldest] = this.#refused
    if (oldest !== undefined && this.#refused.size >= MAX_REFUSED) this.#evict(oldest)
    this.#refused.add(exchange)
    return false
  }

  end(exchange: HttpExchange): void {
    this.#refused.delete(exchange)
    if (this.#exchanges.delete(exchange)) this.#share.release(exchange)
  }

  /** One timer for all: Node's own timer of an HTTP/2 stream would keep a destroyed stream in memory until it fires. */
  #scheduleCheck(): void {
    this.#checkTimer ??= setTimeout(() => {
      this.#checkTimer = undefined
      const stalledBefore = performance.now() - this.#stallMs
      for (const exchange of [...this.#exchanges, ...this.#refused]) {
        // The timer of an HTTP/1.1 socket ends stalled answers itself, and notices when part of a write is sent.
        if (exchange.protocol === 'http/1.1') continue
        if ((exchange.notTakenSince ?? Number.POSITIVE_INFINITY) > stalledBefore) continue
        this.#reportRejection('stalled')
        this.#evict(exchange)
      }
      if (this.size > 0) this.#scheduleCheck()
    }, this.#stallMs / CHECKS_PER_STALL).unref()
  }

  /** Ends an answer that was sent whole and is not taken, or else one of the user with a large share. */
  #evictOneFor(newcomer: HttpExchange): void {
    const slowBefore = performance.now() - this.#slowMs
    // If only the part reserved for local clients is free, evicting a local client would not help a remote newcomer.
    const isFull = this.#share.isFull
    let largest = this.#share.largeShareFor(newcomer)
    let chosen: HttpExchange | undefined
    for (const exchange of this.#exchanges) {
      if (!isFull && exchange.client.isLocal) continue
      if (exchange.state === 'answered' && (exchange.notTakenSince ?? slowBefore) < slowBefore) {
        chosen = exchange
        break
      }
      const share = this.#share.shareOf(exchange)
      if (share < largest) continue
      chosen = exchange
      largest = share + 1
    }
    if (chosen === undefined) return
    this.#reportRejection('slow')
    this.#evict(chosen)
  }

  #evict(exchange: HttpExchange): void {
    this.end(exchange)
    exchange.evict()
  }
}
