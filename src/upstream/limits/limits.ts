import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import { readRetryAfter } from '../headers/retry-after.ts'
import type { HttpResponse, RequestKind } from '../http/messages.ts'
import { type Quota, readQuota } from './quota.ts'
import type { RateLimitNotices } from './rate-limit-notices.ts'

/** The agent asks again after this time, whatever upstream says. */
const LONGEST_CLOSED_MS = 10 * 60_000
/** For a 429 without `Retry-After`. */
const DEFAULT_CLOSED_MS = 10_000
/** A request waits for a shorter time by itself, and others need no notice. */
const SHORTEST_CLOSED_MS = 1000
/** Notices of others close a host for at most `LONGEST_CLOSED_MS` in a row; then they are ignored for this time, or until this node has asked. */
const IGNORED_MS = 60_000
const MOST_ACCOUNTS = 256

/** What a rate limit applies to: a kind of request, and the credential that it is made with. */
export interface Account {
  readonly kind: RequestKind
  readonly identity: string
}

/** A time in which notices of others close the host. */
interface Closure {
  readonly since: number
  readonly until: number
}

/** The rate limits of one host, from its own answers and from the notices of other agents. */
export class Limits {
  readonly #host: string
  readonly #notices: RateLimitNotices | undefined
  readonly #now: () => number
  readonly #closedUntil = new BoundedMap<string, number>(MOST_ACCOUNTS)
  readonly #closures = new BoundedMap<string, Closure>(MOST_ACCOUNTS)
  readonly #accounts = new BoundedMap<string, Account>(MOST_ACCOUNTS)
  #quota: (Quota & { readonly at: number }) | undefined

  constructor(options: { host: string; notices: RateLimitNotices | undefined; now?: () => number }) {
    this.#host = options.host
    this.#notices = options.notices
    this.#now = options.now ?? (() => performance.now())
  }

  get quota(): (Quota & { readonly at: number }) | undefined {
    return this.#quota
  }

  /** Throws a `Failure` while the host refuses requests of this account. */
  check(account: Account): void {
    this.#accounts.set(account.identity, account)
    const now = this.#now()
    const own = (this.#closedUntil.get(account.identity) ?? now) - now
    if (own > 0) throw this.#busy(own, 'has sent 429')
    const others = this.#readNotice(account, now)
    if (others > 0) throw this.#busy(others, 'has sent 429 to a peer')
  }

  /** Records an answer of the host. */
  record({ kind, identity }: Account, { status, headers }: Pick<HttpResponse, 'status' | 'headers'>): void {
    const now = this.#now()
    this.#closures.delete(identity)
    const quota = readQuota(headers)
    if (quota !== undefined) this.#recordQuota(quota, Date.now(), { isFromPeer: false })
    let closedMs = 0
    if (status === 429) {
      const asked = readRetryAfter(headers.get('retry-after'), Date.now()) ?? DEFAULT_CLOSED_MS
      closedMs = asked <= SHORTEST_CLOSED_MS ? 0 : Math.min(asked, LONGEST_CLOSED_MS)
    }
    if (closedMs > 0) {
      this.#closedUntil.set(identity, now + closedMs)
      publish('upstream.limited', { host: this.#host, kind, forMs: closedMs, isFromPeer: false })
    }
    if (closedMs > 0 || quota !== undefined) {
      this.#notices?.send({ host: this.#host, closedMs, quota, ageMs: 0 }, identity)
    }
  }

  /** Reads the notices that other agents have sent about this host. */
  readNotices(): void {
    const now = this.#now()
    for (const account of this.#accounts.values()) this.#readNotice(account, now)
  }

  /** For how long the notices of others close the host for this account. */
  #readNotice({ kind, identity }: Account, now: number): number {
    const notice = this.#notices?.latest(identity)
    if (notice === undefined) return 0
    const at = Date.now() - notice.ageMs
    if (notice.quota !== undefined && at > (this.#quota?.at ?? 0))
      this.#recordQuota(notice.quota, at, { isFromPeer: true })
    if (notice.closedMs <= 0) return 0
    const before = this.#closures.get(identity)
    const isNew = before === undefined || now - before.until > IGNORED_MS
    const since = isNew ? now : before.since
    const until = Math.min(now + notice.closedMs, since + LONGEST_CLOSED_MS)
    if (until <= now) return 0
    this.#closures.set(identity, { since, until })
    if (isNew) {
      publish('upstream.limited', { host: this.#host, kind, forMs: until - now, isFromPeer: true })
    }
    return until - now
  }

  #recordQuota(quota: Quota, at: number, { isFromPeer }: { isFromPeer: boolean }): void {
    this.#quota = { ...quota, at }
    publish('upstream.quota', { host: this.#host, ...quota, isFromPeer })
  }

  #busy(ms: number, why: string): Failure {
    const message = `${this.#host} ${why}; Leat asks it again in ${Math.ceil(ms / 1000)} s`
    return new Failure('busy', message, { source: this.#host, retryAfterMs: Math.ceil(ms) })
  }
}
