import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import { readRetryAfter } from '../headers/retry-after.ts'
import type { Kind, Reply } from '../http/exchange.ts'
import type { Commons } from './commons.ts'
import { type Quota, readQuota } from './quota.ts'

/** Not even upstream itself keeps us from asking again for longer. */
const LONGEST_MS = 10 * 60_000
/** When upstream does not say when to come back. */
const UNNAMED_MS = 10_000
/** A shorter rest is waited for by whoever was told, and is nothing to tell. */
const SHORT_MS = 1000
/** After others have said for this long that it is closed, they are not believed before this node has asked itself, or for this long after. */
const DOUBT_MS = 60_000
const KEPT = 256

/** Who asks, and for what: the same for all who share what upstream allows. */
export interface Account {
  readonly kind: Kind
  readonly identity: string
}

interface Silence {
  readonly since: number
  readonly until: number
}

/** How much a host lets us ask: what it has told this node, and what others say that it has told them. */
export class Limits {
  readonly #host: string
  readonly #commons: Commons | undefined
  readonly #now: () => number
  readonly #closedUntil = new BoundedMap<string, number>(KEPT)
  readonly #silences = new BoundedMap<string, Silence>(KEPT)
  readonly #asked = new BoundedMap<string, Account>(KEPT)
  #quota: (Quota & { readonly at: number }) | undefined

  constructor(options: { host: string; commons: Commons | undefined; now?: () => number }) {
    this.#host = options.host
    this.#commons = options.commons
    this.#now = options.now ?? (() => performance.now())
  }

  get quota(): (Quota & { readonly at: number }) | undefined {
    return this.#quota
  }

  /** Throws a `Failure` while upstream is not to be asked for this. */
  check(account: Account): void {
    this.#asked.set(account.identity, account)
    const now = this.#now()
    const own = (this.#closedUntil.get(account.identity) ?? now) - now
    if (own > 0) throw this.#busy(own, 'has asked for a rest')
    const heard = this.#listen(account, now)
    if (heard > 0) throw this.#busy(heard, 'has asked a peer for a rest')
  }

  /** What upstream has answered. */
  note({ kind, identity }: Account, { status, headers }: Pick<Reply, 'status' | 'headers'>): void {
    const now = this.#now()
    this.#silences.delete(identity)
    const quota = readQuota(headers)
    if (quota !== undefined) this.#learn(quota, Date.now())
    let closedMs = 0
    if (status === 429) {
      const asked = readRetryAfter(headers.get('retry-after'), Date.now()) ?? UNNAMED_MS
      closedMs = asked <= SHORT_MS ? 0 : Math.min(asked, LONGEST_MS)
    }
    if (closedMs > 0) {
      this.#closedUntil.set(identity, now + closedMs)
      publish('upstream.limited', { host: this.#host, kind, forMs: closedMs, isHearsay: false })
    }
    if (closedMs > 0 || quota !== undefined) {
      this.#commons?.tell({ host: this.#host, closedMs, quota, ageMs: 0 }, identity)
    }
  }

  /** Others have told something of this host. */
  listen(): void {
    const now = this.#now()
    for (const account of this.#asked.values()) this.#listen(account, now)
  }

  /** For how long others say that it is closed, as far as they are believed. */
  #listen({ kind, identity }: Account, now: number): number {
    const heard = this.#commons?.heard(identity)
    if (heard === undefined) return 0
    const at = Date.now() - heard.ageMs
    if (heard.quota !== undefined && at > (this.#quota?.at ?? 0)) this.#learn(heard.quota, at, 'hearsay')
    if (heard.closedMs <= 0) return 0
    const before = this.#silences.get(identity)
    const isNew = before === undefined || now - before.until > DOUBT_MS
    const since = isNew ? now : before.since
    const until = Math.min(now + heard.closedMs, since + LONGEST_MS)
    if (until <= now) return 0
    this.#silences.set(identity, { since, until })
    if (isNew) {
      publish('upstream.limited', { host: this.#host, kind, forMs: until - now, isHearsay: true })
    }
    return until - now
  }

  #learn(quota: Quota, at: number, hearsay?: 'hearsay'): void {
    this.#quota = { ...quota, at }
    publish('upstream.quota', { host: this.#host, ...quota, isHearsay: hearsay !== undefined })
  }

  #busy(ms: number, why: string): Failure {
    const message = `${this.#host} ${why}: it is asked again in ${Math.ceil(ms / 1000)} s`
    return new Failure('busy', message, { source: this.#host, retryAfterMs: Math.ceil(ms) })
  }
}
