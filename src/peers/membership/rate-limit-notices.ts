import { BoundedMap } from '../../lib/bounded-map.ts'
import type { MemberId } from '../identity/member.ts'

/** What a registry told one member about its rate limit. */
export interface RateLimitNotice {
  readonly host: string
  /** For how long the registry refuses requests; 0 if it does not. */
  readonly closedMs: number
  readonly quota: RemainingQuota | undefined
  /** How long ago the registry answered so. */
  readonly ageMs: number
}

/** A notice as members exchange it. Only members that have the same rate limit can compute its pseudonym. */
export interface PseudonymousNotice extends RateLimitNotice {
  readonly pseudonym: string
}

export interface RemainingQuota {
  readonly limit: number | undefined
  readonly remaining: number
  readonly windowSeconds: number | undefined
}

/** Exchanges rate-limit notices with all members. */
export interface NoticeChannel {
  send(notice: PseudonymousNotice): void
  /** The latest notice under this pseudonym. */
  latest(pseudonym: string): PseudonymousNotice | undefined
  /** Calls `listener` with the host of each notice that is received. Returns a function that removes the listener. */
  onReceived(listener: (host: string) => void): () => void
}

/** Four notices of at most about 500 bytes leave most of a message to other content. */
export const MAX_NOTICES_PER_MESSAGE = 4
/** Limits the harm of a false notice: it keeps other members from a registry for ten minutes at most. */
export const MAX_CLOSED_MS = 10 * 60_000
/** Older notices are neither accepted nor kept. */
export const MAX_NOTICE_AGE_MS = 10 * 60_000
/** A swarm uses few registries with few credentials each; more notices are made up by a faulty member. */
const MAX_NOTICES = 64
/** In how many rounds a notice is sent on; each round reaches some of the links. */
const SEND_ROUNDS = 4
/** A quota changes with every request, but is sent on no more often than this. */
const MIN_QUOTA_INTERVAL_MS = 10_000
/** The end of a rate limit is sent on again if it has moved by more than this part of the time that was left. */
const MIN_EXTENSION = 0.1

interface KnownNotice {
  readonly pseudonym: string
  readonly host: string
  closedUntil: number
  quota: RemainingQuota | undefined
  answeredAt: number
  announcedAt: number
  roundsLeft: number
  receivedFrom: MemberId | undefined
}

/** The notices that this node knows, and those among them that are still to be sent on. */
export class NoticeStore {
  readonly #notices = new BoundedMap<string, KnownNotice>(MAX_NOTICES)

  get hasUnsent(): boolean {
    for (const { roundsLeft } of this.#notices.values()) if (roundsLeft > 0) return true
    return false
  }

  /** Returns whether the notice changes what is known; then it is sent on. `from` is undefined for this node's own notices. */
  add(notice: PseudonymousNotice, now: number, from?: MemberId): boolean {
    const answeredAt = now - Math.max(0, notice.ageMs)
    const closedMs = Math.min(notice.closedMs, MAX_CLOSED_MS)
    if (notice.ageMs > MAX_NOTICE_AGE_MS) return false
    const before = this.#notices.get(notice.pseudonym)
    const known = before ?? emptyNotice(notice)
    const isExtended = extendsNotably(known, now + closedMs, now)
    const isNewer = answeredAt > known.answeredAt
    const hasQuotaChanged = isNewer && isOtherQuota(notice.quota, known.quota)
    if (isExtended) known.closedUntil = now + closedMs
    if (notice.quota !== undefined && isNewer) known.quota = notice.quota
    known.answeredAt = Math.max(known.answeredAt, answeredAt)
    const isNews = isExtended || (hasQuotaChanged && now - known.announcedAt >= MIN_QUOTA_INTERVAL_MS)
    if (before === undefined && !isNews) return false
    if (isNews) {
      known.announcedAt = now
      known.roundsLeft = SEND_ROUNDS
      known.receivedFrom = from
    }
    // Setting the entry again makes it the youngest one, which the bounded map evicts last.
    this.#notices.set(notice.pseudonym, known)
    return isNews
  }

  latest(pseudonym: string, now: number): PseudonymousNotice | undefined {
    const known = this.#notices.get(pseudonym)
    return known && noticeOf(known, now)
  }

  /** The notices to send in this round, at most as many as fit into a message, each with the member it came from. */
  takeRound(now: number): readonly (PseudonymousNotice & { readonly from: MemberId | undefined })[] {
    const unsent = [...this.#notices.values()].filter(({ roundsLeft }) => roundsLeft > 0)
    const round = unsent.slice(0, MAX_NOTICES_PER_MESSAGE)
    for (const known of round) {
      known.roundsLeft -= 1
      // Moving the entry to the end lets the next round begin with other notices.
      this.#notices.set(known.pseudonym, known)
    }
    return round.map((known) => ({ ...noticeOf(known, now), from: known.receivedFrom }))
  }

  /** The notices of registries that refuse requests now, for a member that has just joined. */
  closed(now: number): readonly PseudonymousNotice[] {
    const closed = [...this.#notices.values()].filter(({ closedUntil }) => closedUntil > now)
    return closed.slice(-MAX_NOTICES_PER_MESSAGE).map((known) => noticeOf(known, now))
  }

  expire(now: number): void {
    for (const { pseudonym, answeredAt, closedUntil } of this.#notices.values()) {
      if (now - answeredAt > MAX_NOTICE_AGE_MS && closedUntil <= now) this.#notices.delete(pseudonym)
    }
  }
}

function emptyNotice({ pseudonym, host }: PseudonymousNotice): KnownNotice {
  const never = Number.NEGATIVE_INFINITY
  return {
    pseudonym,
    host,
    closedUntil: never,
    quota: undefined,
    answeredAt: never,
    announcedAt: never,
    roundsLeft: 0,
    receivedFrom: undefined,
  }
}

function noticeOf(
  { pseudonym, host, closedUntil, quota, answeredAt }: KnownNotice,
  now: number,
): PseudonymousNotice {
  const closedMs = Math.max(0, Math.ceil(closedUntil - now))
  return { pseudonym, host, closedMs, quota, ageMs: Math.max(0, Math.floor(now - answeredAt)) }
}

/** Members that get a 429 at the same time announce nearly the same end; only the first of these notices is sent on. */
function extendsNotably({ closedUntil }: KnownNotice, until: number, now: number): boolean {
  if (until <= now) return false
  const left = Math.max(0, closedUntil - now)
  return until - now - left > Math.max(1000, left * MIN_EXTENSION)
}

function isOtherQuota(one: RemainingQuota | undefined, other: RemainingQuota | undefined): boolean {
  if (one === undefined) return false
  return other === undefined || one.limit !== other.limit || quotaBand(one) !== quotaBand(other)
}

/** A quota is in another band when a tenth of the limit was used, or half of the rest if the limit is unknown. */
function quotaBand({ limit, remaining }: RemainingQuota): number {
  return limit === undefined
    ? Math.floor(Math.log2(remaining + 1))
    : Math.ceil((10 * remaining) / Math.max(1, limit))
}
