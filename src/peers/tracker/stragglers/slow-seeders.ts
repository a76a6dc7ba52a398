import { PIECE_BYTES } from '../tree/choose-parent.ts'
import { givableEnd, isIncomplete, type Participant } from '../tree/participant.ts'
import type { Participants } from '../tree/participants.ts'
import { isInSubtree, isUnderRoot } from '../tree/tree.ts'
import type { UpstreamRoles } from '../tree/upstream-roles.ts'

/** At this rate from a seeder another parent is tried. */
const SLOW_BYTES_PER_SECOND = 2 * PIECE_BYTES
/** At this rate upstream is tried as well. */
const VERY_SLOW_BYTES_PER_SECOND = PIECE_BYTES
/** A parent is judged after this time, when the child's rate has settled. */
const TRIAL_MS = 2000
/** The new parent must give this much more, so that a chance variation does not decide. */
const CLEARLY_FASTER = 1.5
/** A child that will be complete this soon keeps its parent: a change would not pay. */
const NEARLY_COMPLETE_MS = 5000

interface Trial {
  readonly from: Participant
  readonly to: Participant
  /** What `from` gave. */
  readonly bytesPerSecond: number
}

/**
 * Finds seeders that give next to nothing. Nothing shows how fast a seeder can give that was complete when it joined, and
 * its children cannot be compared with a parent that takes. So one child tries another parent, and each child does so
 * once. When the other parent is faster, the seeder's other children follow; when it is slower, the child goes back.
 */
export class SlowSeeders {
  readonly #participants: Participants
  readonly #upstream: UpstreamRoles
  readonly #now: () => number
  readonly #trials = new Map<Participant, Trial>()
  #hasAskedUpstream = false

  constructor(participants: Participants, upstream: UpstreamRoles, now: () => number) {
    this.#participants = participants
    this.#upstream = upstream
    this.#now = now
  }

  /** Returns the participants that need another parent. */
  tick(): Participant[] {
    const waiting = [...this.#trials].flatMap(([child, trial]) => this.#judge(child, trial))
    const { size } = this.#participants
    if (size === undefined) return waiting
    for (const seeder of this.#participants) {
      if (seeder.role !== 'seeder') continue
      const child = this.#childToMove(seeder, size)
      if (child !== undefined) this.#startTrial(child, seeder)
    }
    return waiting
  }

  #judge(child: Participant, { from, to, bytesPerSecond: rateBefore }: Trial): Participant[] {
    const isPresent = this.#participants.get(child.id) === child && child.parent === to
    if (isPresent && this.#now() - child.progress.assignedAtMs < TRIAL_MS) return []
    this.#trials.delete(child)
    if (isPresent && child.progress.bytesPerSecond >= CLEARLY_FASTER * rateBefore) {
      return this.#participants.stopAll(from.children)
    }
    // The seeder gives as much as others do, or the trial showed nothing. If the other parent is the slow one, its own
    // children will leave it.
    from.isSlow = false
    return []
  }

  /** One child of the seeder, if all of its children get next to nothing and none is in a trial yet. */
  #childToMove(seeder: Participant, size: number): Participant | undefined {
    const children = [...seeder.children]
    const settledMs = this.#now() - TRIAL_MS
    const areAllSlow = children.every(
      ({ progress }) =>
        progress.assignedAtMs <= settledMs && progress.bytesPerSecond <= SLOW_BYTES_PER_SECOND,
    )
    if (!areAllSlow || [...this.#trials.values()].some(({ from }) => from === seeder)) return undefined
    return children.find((child) => {
      const soonBytes = (child.progress.bytesPerSecond * NEARLY_COMPLETE_MS) / 1000
      return !this.#trials.has(child) && size - child.position > soonBytes
    })
  }

  #startTrial(child: Participant, seeder: Participant): void {
    const { bytesPerSecond } = child.progress
    const other = this.#otherParent(child, seeder)
    if (other !== undefined) {
      this.#participants.setParent(child, other)
      this.#trials.set(child, { from: seeder, to: other, bytesPerSecond })
    } else if (this.#mayAskUpstream(child)) {
      this.#hasAskedUpstream = true
      this.#upstream.makeFetcher(child)
    } else return
    seeder.isSlow = true
    seeder.progress.givesBytesPerSecond = bytesPerSecond
  }

  /** A parent that may give more, preferably of the child's zone and with few children. */
  #otherParent(child: Participant, seeder: Participant): Participant | undefined {
    let best: Participant | undefined
    for (const parent of this.#participants) {
      if (!this.#mayGiveMore(parent, child, seeder)) continue
      if (best === undefined || costOf(parent, child) < costOf(best, child)) best = parent
    }
    return best
  }

  #mayGiveMore(parent: Participant, child: Participant, seeder: Participant): boolean {
    if (parent.isSlow || !isUnderRoot(parent) || !this.#participants.mayTake(child, parent)) return false
    if (givableEnd(parent) < child.position + PIECE_BYTES) return false
    if (isInSubtree(parent, seeder) || isInSubtree(parent, child)) return false
    const rate = parent.progress.givesBytesPerSecond ?? this.#rateShownBy(parent)
    return rate >= CLEARLY_FASTER * Math.max(child.progress.bytesPerSecond, 1)
  }

  /** How much a parent gives, as far as its children show it; Infinity when none of them shows it yet. */
  #rateShownBy(parent: Participant): number {
    if (isIncomplete(parent)) return parent.progress.bytesPerSecond
    const settledMs = this.#now() - TRIAL_MS
    const settled = [...parent.children].filter(({ progress }) => progress.assignedAtMs <= settledMs)
    if (settled.length === 0) return Number.POSITIVE_INFINITY
    return Math.max(...settled.map(({ progress }) => progress.bytesPerSecond))
  }

  /** Allowed once per plan, because a participant that asks upstream goes on with it to the end. */
  #mayAskUpstream({ hasUpstreamFailed, reputation, progress }: Participant): boolean {
    const isAble = !hasUpstreamFailed && !reputation.isBanned
    if (!isAble || progress.bytesPerSecond > VERY_SLOW_BYTES_PER_SECOND) return false
    return this.#trials.size === 0 && !this.#hasAskedUpstream && this.#participants.fetcher === undefined
  }
}

function costOf({ zone, children }: Participant, child: Participant): number {
  return (zone === child.zone ? 0 : 1000) + children.size
}
