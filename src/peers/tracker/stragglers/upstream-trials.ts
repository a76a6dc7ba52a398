import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'
import { SLACK_BYTES } from '../tree/choose-parent.ts'
import type { Participant } from '../tree/participant.ts'
import type { Participants } from '../tree/participants.ts'
import { isInSubtree } from '../tree/tree.ts'
import type { UpstreamRoles } from '../tree/upstream-roles.ts'
import {
  CLEARLY_SLOWER,
  FASTER,
  NEARLY_COMPLETE_AT_UPSTREAM_MS,
  SETTLE_AT_UPSTREAM_MS,
  SETTLE_MS,
  UNDERSUPPLIED_BYTES,
  VERY_SLOW_BYTES_PER_SECOND,
} from './limits.ts'

/** A link counts as full at this part of the best rate that its member has seen. */
const FULL_LINK = 0.7
/** A child takes all bytes of its parent when it lacks no more of them than arrive in this time. */
const FULLY_TAKEN_MS = 250
/** Of those at least half as fast as the fastest, the furthest is next: what it still lacks of the position comes twice. */
const NEARLY_FASTEST = 0.5
/** Bounds what false rates can cost: each handover fetches some bytes from upstream twice. */
const MAX_HANDOVERS = 2

/** A member's link and its upstream seldom change within half an hour. */
const REMEMBERED_MS = 30 * 60_000
/** Bounds the memory: the members are remembered that were cleared last. */
const MAX_REMEMBERED = 256

/** Fetchers that were slow, until a trial of another fetcher showed that upstream was. All plans of a tracker share them. */
export class ClearedFetchers {
  readonly #untilMs = new BoundedMap<MemberId, number>(MAX_REMEMBERED)

  add(id: MemberId, nowMs: number): void {
    this.#untilMs.set(id, nowMs + REMEMBERED_MS)
  }

  has(id: MemberId, nowMs: number): boolean {
    return (this.#untilMs.get(id) ?? 0) > nowMs
  }
}

interface Trial {
  readonly from: Participant
  readonly to: Participant
  /** The rate of `from` while it was the fetcher. */
  readonly bytesPerSecond: number
}

/**
 * A fetcher with a slow link makes all participants as slow as itself, and looks like a fetcher with a slow upstream. A
 * trial tells them apart: when the fetcher's link is full, and another participant has received much more lately, that
 * one becomes the fetcher. Rates are each member's own word, so a participant whose trial was no faster is not tried
 * again, and a trial that was slower is reverted.
 */
export class UpstreamTrials {
  readonly #participants: Participants
  readonly #upstream: UpstreamRoles
  readonly #cleared: ClearedFetchers
  readonly #now: () => number
  readonly #disproved = new Set<MemberId>()
  #trial: Trial | undefined
  #handoversLeft = MAX_HANDOVERS
  #hasFetchedBesideSeeder = false

  constructor(
    participants: Participants,
    upstream: UpstreamRoles,
    cleared: ClearedFetchers,
    now: () => number,
  ) {
    this.#participants = participants
    this.#upstream = upstream
    this.#cleared = cleared
    this.#now = now
  }

  tick(): void {
    const { fetcher } = this.#participants
    if (this.#trial !== undefined) this.#judge(this.#trial)
    else if (fetcher === undefined) this.#fetchBesideSlowSeeder()
    else if (this.#handoversLeft > 0) this.#consider(fetcher)
  }

  /** The seeders are very slow, so one of their children becomes the fetcher: once per plan, because it goes on to the end. */
  #fetchBesideSlowSeeder(): void {
    if (this.#hasFetchedBesideSeeder) return
    const children = [...this.#participants].filter((child) => this.#isSeederVerySlow(child))
    const next = this.#upstream.bestFetcher(children)
    const seeder = next?.parent
    if (next === undefined || seeder === undefined) return
    this.#hasFetchedBesideSeeder = true
    this.#upstream.makeFetcher(next)
    this.#assignOthers(seeder.children)
  }

  #isSeederVerySlow(child: Participant): boolean {
    const { parent, progress } = child
    const isSettled = this.#now() - progress.assignedAtMs >= SETTLE_MS
    if (parent?.role !== 'seeder' || !parent.isSlow || !isSettled) return false
    return progress.bytesPerSecond <= VERY_SLOW_BYTES_PER_SECOND && this.#isFarFromComplete(child)
  }

  #consider(fetcher: Participant): void {
    const { progress, receiveRates } = fetcher
    const { bestBytesPerSecond: best, currentBytesPerSecond: current = 0 } = receiveRates
    if (best === undefined || this.#now() - progress.assignedAtMs < SETTLE_AT_UPSTREAM_MS) return
    const receives = Math.max(progress.bytesPerSecond, current)
    const isLinkFull = progress.bytesPerSecond > 0 && receives >= FULL_LINK * best
    if (!isLinkFull || this.#cleared.has(fetcher.id, this.#now())) return
    if (!this.#isFarFromComplete(fetcher) || !this.#areChildrenUndersupplied(fetcher)) return
    const next = this.#nextFetcher(fetcher, Math.max(receives, best) / CLEARLY_SLOWER)
    if (next === undefined) return
    this.#handoversLeft -= 1
    this.#trial = { from: fetcher, to: next, bytesPerSecond: progress.bytesPerSecond }
    this.#handOver(fetcher, next)
  }

  #judge({ from, to, bytesPerSecond: rateBefore }: Trial): void {
    const isFetcher = this.#participants.fetcher === to
    if (isFetcher && this.#now() - to.progress.assignedAtMs < SETTLE_AT_UPSTREAM_MS) return
    this.#trial = undefined
    const rate = to.progress.bytesPerSecond
    if (to.role === 'seeder' || (isFetcher && rate >= FASTER * rateBefore)) return
    this.#disproved.add(to.id)
    from.isSlow = false
    if (!isFetcher) return
    if (rate * FASTER >= rateBefore) this.#cleared.add(from.id, this.#now())
    else if (this.#canReplace(to, from)) this.#handOver(to, from)
  }

  #isFarFromComplete({ position, progress }: Participant): boolean {
    const { size } = this.#participants
    const soonBytes = (progress.bytesPerSecond * NEARLY_COMPLETE_AT_UPSTREAM_MS) / 1000
    return size !== undefined && size - position > soonBytes
  }

  /** True when all children but the slow ones have what the fetcher has. */
  #areChildrenUndersupplied({ children, position, progress }: Participant): boolean {
    const judged = [...children].filter(({ isSlow }) => !isSlow)
    const little = Math.max(UNDERSUPPLIED_BYTES, (progress.bytesPerSecond * FULLY_TAKEN_MS) / 1000)
    return judged.length > 0 && judged.every((child) => position - child.position <= little)
  }

  /** A participant below the fetcher whose best rate is at least `minRate`. */
  #nextFetcher(fetcher: Participant, minRate: number): Participant | undefined {
    const candidates = [...this.#participants].filter(
      (participant) =>
        bestRate(participant) >= minRate &&
        isInSubtree(participant, fetcher) &&
        this.#canReplace(fetcher, participant),
    )
    const fastest = Math.max(...candidates.map(bestRate))
    const fast = candidates.filter((candidate) => bestRate(candidate) >= NEARLY_FASTEST * fastest)
    return this.#participants.inAssignmentOrder(fast)[0]
  }

  #canReplace(fetcher: Participant, participant: Participant): boolean {
    const isPresent = this.#participants.get(participant.id) === participant && participant !== fetcher
    const isTrusted = !participant.isSlow && !this.#disproved.has(participant.id)
    if (!isPresent || !isTrusted || !this.#upstream.canFetch(participant)) return false
    return fetcher.position - participant.position <= SLACK_BYTES
  }

  /** The children of the former fetcher take from the new one, and last the former fetcher itself. */
  #handOver(from: Participant, to: Participant): void {
    this.#participants.stop(from)
    this.#upstream.makeFetcher(to)
    from.isSlow = true
    this.#assignOthers(from.children)
    this.#participants.assignParent(from)
  }

  #assignOthers(children: Iterable<Participant>): void {
    const stopped = this.#participants.stopAll(children)
    for (const child of this.#participants.inAssignmentOrder(stopped)) {
      this.#participants.assignParent(child)
    }
  }
}

function bestRate({ receiveRates }: Participant): number {
  return receiveRates.bestBytesPerSecond ?? 0
}
