import { BoundedMap } from '../../lib/bounded-map.ts'
import type { MemberId } from '../identity/member.ts'

/** How much a registry lets somebody ask of it, as it has told one member. */
export interface Word {
  /** The pseudonym of whom it concerns, and in which matter: only who is concerned, too, can come to it. */
  readonly who: string
  readonly host: string
  /** It is not to be asked for so long; 0: it may be. */
  readonly closedMs: number
  readonly quota: Quota | undefined
  /** How long ago it has said so. */
  readonly ageMs: number
}

export interface Quota {
  readonly limit: number | undefined
  readonly remaining: number
  readonly windowSeconds: number | undefined
}

/** What members tell each other of registries. */
export interface Hearsay {
  /** To all. */
  tell(word: Word): void
  heard(who: string): Word | undefined
  /** Something was heard of a host. Gives back what ends the listening. */
  onHeard(listener: (host: string) => void): () => void
}

/** In one message. */
export const WORDS_AT_ONCE = 4
/** Nobody keeps a registry closed for others for longer by one word. */
export const LONGEST_CLOSED_MS = 10 * 60_000
/** What is older is not told any more. */
export const OLDEST_MS = 10 * 60_000
const MOST_KEPT = 64
const ROUNDS = 4
/** How often one is told again of a quota, and by how much it closes later when it is told again of that. */
const QUOTA_EVERY_MS = 10_000
const LATER_BY = 0.1

interface Kept {
  readonly who: string
  readonly host: string
  closedUntil: number
  quota: Quota | undefined
  heardAt: number
  toldAt: number
  rounds: number
  from: MemberId | undefined
}

/** What members have heard of registries, and what of that is still to be passed on. */
export class Tidings {
  readonly #kept = new BoundedMap<string, Kept>(MOST_KEPT)

  get hasNews(): boolean {
    for (const { rounds } of this.#kept.values()) if (rounds > 0) return true
    return false
  }

  /** True when it is news here, which is then passed on. `from` is left out for what this member was told itself. */
  hear(word: Word, now: number, from?: MemberId): boolean {
    const heardAt = now - Math.max(0, word.ageMs)
    const closedMs = Math.min(word.closedMs, LONGEST_CLOSED_MS)
    if (word.ageMs > OLDEST_MS) return false
    const known = this.#kept.get(word.who)
    const kept = known ?? beginning(word)
    const isLater = closesLater(kept, now + closedMs, now)
    const isOther = heardAt > kept.heardAt && isOtherQuota(word.quota, kept.quota)
    if (isLater) kept.closedUntil = now + closedMs
    if (word.quota !== undefined && heardAt > kept.heardAt) kept.quota = word.quota
    kept.heardAt = Math.max(kept.heardAt, heardAt)
    const isNews = isLater || (isOther && now - kept.toldAt >= QUOTA_EVERY_MS)
    if (known === undefined && !isNews) return false
    if (isNews) {
      kept.toldAt = now
      kept.rounds = ROUNDS
      kept.from = from
    }
    // The one that nothing was heard of for longest is forgotten.
    this.#kept.set(word.who, kept)
    return isNews
  }

  heard(who: string, now: number): Word | undefined {
    const kept = this.#kept.get(who)
    return kept && wordOf(kept, now)
  }

  /** A bounded number of those that are still to be passed on, and who has told each. */
  round(now: number): readonly (Word & { readonly from: MemberId | undefined })[] {
    const round = [...this.#kept.values()].filter(({ rounds }) => rounds > 0).slice(0, WORDS_AT_ONCE)
    for (const kept of round) {
      kept.rounds -= 1
      // Others come first the next time.
      this.#kept.set(kept.who, kept)
    }
    return round.map((kept) => ({ ...wordOf(kept, now), from: kept.from }))
  }

  /** For one who has just come: which registries are closed. */
  closed(now: number): readonly Word[] {
    const closed = [...this.#kept.values()].filter(({ closedUntil }) => closedUntil > now)
    return closed.slice(-WORDS_AT_ONCE).map((kept) => wordOf(kept, now))
  }

  expire(now: number): void {
    for (const { who, heardAt, closedUntil } of this.#kept.values()) {
      if (now - heardAt > OLDEST_MS && closedUntil <= now) this.#kept.delete(who)
    }
  }
}

function beginning({ who, host }: Word): Kept {
  const never = Number.NEGATIVE_INFINITY
  return {
    who,
    host,
    closedUntil: never,
    quota: undefined,
    heardAt: never,
    toldAt: never,
    rounds: 0,
    from: undefined,
  }
}

function wordOf({ who, host, closedUntil, quota, heardAt }: Kept, now: number): Word {
  const closedMs = Math.max(0, Math.ceil(closedUntil - now))
  return { who, host, closedMs, quota, ageMs: Math.max(0, Math.floor(now - heardAt)) }
}

/** By enough that it is worth telling: all who are told the same at the same time tell it once. */
function closesLater({ closedUntil }: Kept, until: number, now: number): boolean {
  if (until <= now) return false
  const left = Math.max(0, closedUntil - now)
  return until - now - left > Math.max(1000, left * LATER_BY)
}

function isOtherQuota(one: Quota | undefined, other: Quota | undefined): boolean {
  if (one === undefined) return false
  return other === undefined || one.limit !== other.limit || bandOf(one) !== bandOf(other)
}

/** Tenths of the limit; where that is not known, powers of two. */
function bandOf({ limit, remaining }: Quota): number {
  return limit === undefined
    ? Math.floor(Math.log2(remaining + 1))
    : Math.ceil((10 * remaining) / Math.max(1, limit))
}
