import type { MemberId } from '../../identity/member.ts'
import { PIECE_BYTES, SLACK_BYTES } from '../tree/choose-parent.ts'
import type { Participant } from '../tree/participant.ts'
import type { Participants } from '../tree/participants.ts'
import { isInSubtree } from '../tree/tree.ts'
import type { UpstreamRoles } from '../tree/upstream-roles.ts'
import type { ClearedFetchers } from './cleared-fetchers.ts'

/** A fetcher is judged after this time, when its rate has settled. */
const TRIAL_MS = 3000
/** A link counts as full at this part of the best rate that its member has seen. */
const FULL_LINK = 0.7
/** Another participant is tried when it has received this much more, and stays the fetcher when it gets this much more. */
const CLEARLY_FASTER = 2
const FASTER = 1.25
/** Below this part of the first fetcher's rate the trial did harm, and is reverted. */
const SLOWER = 0.7
/** A content that will be complete this soon is left to the fetcher that there is. */
const NEARLY_COMPLETE_MS = 5000
/** A child that lacks no more than this of its parent's bytes, or than what comes in this time, takes all there is. */
const STARVING_BYTES = 4 * PIECE_BYTES
const STARVING_MS = 250
/** Of those at least half as fast as the fastest, the furthest is next: what it still lacks of the position comes twice. */
const NEARLY_FASTEST = 0.5
/** Bounds what false rates can cost: each handover fetches some bytes from upstream twice. */
const MAX_HANDOVERS = 2

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
export class SlowFetcher {
  readonly #participants: Participants
  readonly #upstream: UpstreamRoles
  readonly #cleared: ClearedFetchers
  readonly #now: () => number
  readonly #disproved = new Set<MemberId>()
  #trial: Trial | undefined
  #handoversLeft = MAX_HANDOVERS

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
    else if (fetcher !== undefined && this.#handoversLeft > 0) this.#consider(fetcher)
  }

  #consider(fetcher: Participant): void {
    const { progress, receiveRates } = fetcher
    const { bestBytesPerSecond: best, currentBytesPerSecond: current = 0 } = receiveRates
    if (best === undefined || this.#now() - progress.assignedAtMs < TRIAL_MS) return
    const receives = Math.max(progress.bytesPerSecond, current)
    if (receives < FULL_LINK * best || this.#cleared.has(fetcher.id, this.#now())) return
    if (!this.#isFarFromComplete(fetcher) || !this.#areChildrenStarving(fetcher)) return
    const next = this.#nextFetcher(fetcher, CLEARLY_FASTER * Math.max(receives, best))
    if (next === undefined) return
    this.#handoversLeft -= 1
    this.#trial = { from: fetcher, to: next, bytesPerSecond: progress.bytesPerSecond }
    this.#handOver(fetcher, next)
  }

  #judge({ from, to, bytesPerSecond: rateBefore }: Trial): void {
    const isFetcher = this.#participants.fetcher === to
    if (isFetcher && this.#now() - to.progress.assignedAtMs < TRIAL_MS) return
    this.#trial = undefined
    const rate = to.progress.bytesPerSecond
    if (to.role === 'seeder' || (isFetcher && rate >= FASTER * rateBefore)) return
    this.#disproved.add(to.id)
    from.isSlow = false
    if (!isFetcher) return
    if (rate >= SLOWER * rateBefore) this.#cleared.add(from.id, this.#now())
    else if (this.#canReplace(to, from)) this.#handOver(to, from)
  }

  #isFarFromComplete({ position, progress }: Participant): boolean {
    const { size } = this.#participants
    const { bytesPerSecond: rate } = progress
    return size !== undefined && rate > 0 && size - position > (rate * NEARLY_COMPLETE_MS) / 1000
  }

  /** True when all children but the slow ones have what the fetcher has. */
  #areChildrenStarving({ children, position, progress }: Participant): boolean {
    const judged = [...children].filter(({ isSlow }) => !isSlow)
    const little = Math.max(STARVING_BYTES, (progress.bytesPerSecond * STARVING_MS) / 1000)
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

  /** The children of the former fetcher take from the new one; so does the former fetcher itself, placed last. */
  #handOver(from: Participant, to: Participant): void {
    this.#participants.stop(from)
    this.#upstream.makeFetcher(to)
    from.isSlow = true
    const children = this.#participants.stopAll(from.children)
    for (const child of this.#participants.inAssignmentOrder(children)) {
      this.#participants.assignParent(child)
    }
    this.#participants.assignParent(from)
  }
}

function bestRate({ receiveRates }: Participant): number {
  return receiveRates.bestBytesPerSecond ?? 0
}
