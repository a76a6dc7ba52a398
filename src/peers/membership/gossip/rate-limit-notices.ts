import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'

/** A registry has answered 429 to a member. */
export interface RateLimitNotice {
  readonly host: string
  /** For how long the registry refuses requests from now on. */
  readonly closedMs: number
}

/** A notice as members exchange it. Only members that have the same rate limit can compute its pseudonym. */
export interface PseudonymousNotice extends RateLimitNotice {
  readonly pseudonym: string
}

/** Exchanges rate-limit notices with all members. */
export interface NoticeChannel {
  send(notice: PseudonymousNotice): void
  /** The latest notice under this pseudonym; undefined when the registry accepts requests again. */
  latest(pseudonym: string): PseudonymousNotice | undefined
  /** Calls `listener` with the host of each notice that is received. Returns a function that removes the listener. */
  onReceived(listener: (host: string) => void): () => void
}

/** Four notices of at most about 400 bytes leave most of a message to other content. */
export const MAX_NOTICES_PER_MESSAGE = 4
/** Limits the harm of a false notice: it keeps other members from a registry for ten minutes at most. */
export const MAX_CLOSED_MS = 10 * 60_000
/** A swarm uses few registries with few credentials each; more notices are made up by a faulty member. */
const MAX_NOTICES = 64
/** In how many rounds a notice is sent on; each round reaches some of the links. */
const SEND_ROUNDS = 4
/** The end of a rate limit is sent on again if it has moved by more than this part of the time that was left. */
const MIN_EXTENSION = 0.1

interface KnownNotice {
  readonly pseudonym: string
  readonly host: string
  closedUntil: number
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
  add({ pseudonym, host, closedMs }: PseudonymousNotice, now: number, from?: MemberId): boolean {
    const closedUntil = now + Math.min(closedMs, MAX_CLOSED_MS)
    if (!extendsNotably(this.#notices.get(pseudonym), closedUntil, now)) return false
    // Setting an entry again makes it the youngest one, which the bounded map evicts last.
    this.#notices.set(pseudonym, {
      pseudonym,
      host,
      closedUntil,
      roundsLeft: SEND_ROUNDS,
      receivedFrom: from,
    })
    return true
  }

  /** Undefined when the registry accepts requests again. */
  latest(pseudonym: string, now: number): PseudonymousNotice | undefined {
    const known = this.#notices.get(pseudonym)
    return known === undefined || known.closedUntil <= now ? undefined : noticeOf(known, now)
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
    for (const { pseudonym, closedUntil } of this.#notices.values()) {
      if (closedUntil <= now) this.#notices.delete(pseudonym)
    }
  }
}

function noticeOf({ pseudonym, host, closedUntil }: KnownNotice, now: number): PseudonymousNotice {
  return { pseudonym, host, closedMs: Math.max(0, Math.ceil(closedUntil - now)) }
}

/** Members that get a 429 at the same time announce nearly the same end; only the first of these notices is sent on. */
function extendsNotably(known: KnownNotice | undefined, until: number, now: number): boolean {
  if (until <= now) return false
  const left = Math.max(0, (known?.closedUntil ?? now) - now)
  return until - now - left > Math.max(1000, left * MIN_EXTENSION)
}
