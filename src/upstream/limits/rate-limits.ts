import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import { parseRetryAfter } from '../headers/retry-after.ts'
import type { HttpResponse, RequestKind } from '../http/messages.ts'
import { parseQuota, type Quota } from './quota.ts'
import type { RateLimitNotices } from './rate-limit-notices.ts'

/** A registry that asks for a longer wait is still tried again after this time. */
const LONGEST_CLOSED_MS = 10 * 60_000
/** The wait after a 429 without `Retry-After`. */
const DEFAULT_CLOSED_MS = 10_000
/** A request retries by itself after a wait of up to this time, and other nodes get no notice. */
const SHORTEST_CLOSED_MS = 1000
/**
 * Notices of other agents close a host for at most `LONGEST_CLOSED_MS` without a request of this node. After that they are
 * ignored for this time, or until this node gets an answer: a wrong notice cannot close a host for good.
 */
const IGNORED_MS = 60_000
const MAX_SUBJECTS = 256

/** What a rate limit applies to: a kind of request, and the credential that it is made with. */
export interface RateLimitSubject {
  readonly kind: RequestKind
  /** Equal on all nodes for requests that share one rate limit. */
  readonly id: string
}

/** A period in which notices of other agents close the host. */
interface ClosedPeriod {
  readonly since: number
  readonly until: number
}

/** The rate limits of one host, from its own answers and from the notices of other agents. */
export class RateLimits {
  readonly #host: string
  readonly #notices: RateLimitNotices | undefined
  readonly #now: () => number
  readonly #closedUntil = new BoundedMap<string, number>(MAX_SUBJECTS)
  readonly #closedByNotices = new BoundedMap<string, ClosedPeriod>(MAX_SUBJECTS)
  readonly #subjects = new BoundedMap<string, RateLimitSubject>(MAX_SUBJECTS)
  #quota: (Quota & { readonly at: number }) | undefined

  constructor(options: { host: string; notices: RateLimitNotices | undefined; now?: () => number }) {
    this.#host = options.host
    this.#notices = options.notices
    this.#now = options.now ?? (() => performance.now())
  }

  get quota(): (Quota & { readonly at: number }) | undefined {
    return this.#quota
  }

  /** Throws a `Failure` while the host refuses requests of this kind and credential. */
  check(subject: RateLimitSubject): void {
    this.#subjects.set(subject.id, subject)
    const now = this.#now()
    const ownMs = (this.#closedUntil.get(subject.id) ?? now) - now
    if (ownMs > 0) throw this.#busy(ownMs, 'has answered 429')
    const noticeMs = this.#readNotice(subject, now)
    if (noticeMs > 0) throw this.#busy(noticeMs, 'has answered 429 to a peer')
  }

  /** Records an answer of the host. */
  record(
    { kind, id }: RateLimitSubject,
    { status, headers }: Pick<HttpResponse, 'status' | 'headers'>,
  ): void {
    const now = this.#now()
    this.#closedByNotices.delete(id)
    const quota = parseQuota(headers)
    if (quota !== undefined) {
      this.#quota = { ...quota, at: Date.now() }
      publish('upstream.quota', { host: this.#host, ...quota })
    }
    let closedMs = 0
    if (status === 429) {
      const askedMs = parseRetryAfter(headers.get('retry-after'), Date.now()) ?? DEFAULT_CLOSED_MS
      closedMs = askedMs <= SHORTEST_CLOSED_MS ? 0 : Math.min(askedMs, LONGEST_CLOSED_MS)
    }
    if (closedMs > 0) {
      this.#closedUntil.set(id, now + closedMs)
      publish('upstream.limited', { host: this.#host, kind, forMs: closedMs, isFromPeer: false })
      this.#notices?.send({ host: this.#host, closedMs }, id)
    }
  }

  /** Reads the notices that other agents have sent about this host. */
  readNotices(): void {
    const now = this.#now()
    for (const subject of this.#subjects.values()) this.#readNotice(subject, now)
  }

  /** Returns for how many milliseconds the notices of other agents close the host for this kind and credential. */
  #readNotice({ kind, id }: RateLimitSubject, now: number): number {
    const notice = this.#notices?.latest(id)
    if (notice === undefined || notice.closedMs <= 0) return 0
    const before = this.#closedByNotices.get(id)
    const isNew = before === undefined || now - before.until > IGNORED_MS
    const since = isNew ? now : before.since
    const until = Math.min(now + notice.closedMs, since + LONGEST_CLOSED_MS)
    if (until <= now) return 0
    this.#closedByNotices.set(id, { since, until })
    if (isNew) {
      publish('upstream.limited', { host: this.#host, kind, forMs: until - now, isFromPeer: true })
    }
    return until - now
  }

  #busy(ms: number, why: string): Failure {
    const message = `${this.#host} ${why}; Leat asks it again in ${Math.ceil(ms / 1000)} s`
    return new Failure('busy', message, { source: this.#host, retryAfterMs: Math.ceil(ms) })
  }
}
