import { SLACK_BYTES } from './choose-parent.ts'
import { givableEnd, isIncomplete, type Participant } from './participant.ts'
import type { Participants } from './participants.ts'
import { isStuck } from './progress-rates.ts'

/** After three failures of upstream in a row, without a byte of progress between them, the plan gives up. */
const MAX_FAILURES = 3
/** Bounds how often upstream sends the content again for participants that no other one could help. */
const MAX_DIRECT = 2
/** A fetcher is replaced by a participant that is 4 MiB ahead: upstream need not send those bytes again. */
const REPLACE_FETCHER_BYTES = 4 * 2 ** 20
/** How long a participant waits when it avoids all seeders, before it asks upstream. */
const SEEDER_WAIT_MS = 3000

/** Decides who asks upstream: one fetcher at a time for all, and at most two participants for themselves. */
export class UpstreamRoles {
  readonly #participants: Participants
  readonly #now: () => number
  #failures = 0
  #directCount = 0

  constructor(participants: Participants, now: () => number) {
    this.#participants = participants
    this.#now = now
  }

  /** Makes sure that there is a fetcher or a seeder; ends the plan when there can be neither. */
  ensureFetcher(): void {
    if (this.#participants.fetcher !== undefined || this.hasSeeder()) return
    const direct = [...this.#participants].find(
      ({ role, reputation }) => role === 'direct' && !reputation.isBanned,
    )
    const next = this.#failures < MAX_FAILURES ? this.bestFetcher(this.#participants) : undefined
    if (direct !== undefined) this.#participants.setRole(direct, 'fetcher')
    else if (next !== undefined) this.makeFetcher(next)
    else if (this.#failures > 0 || this.#hasUpstreamFailedAll()) this.#endAll()
  }

  makeFetcher(participant: Participant): void {
    this.#participants.setRole(participant, 'fetcher')
    this.#participants.instruct({ to: participant.id, do: 'fetch' })
  }

  canFetch(participant: Participant): boolean {
    const { hasUpstreamFailed, reputation } = participant
    const isAble = isIncomplete(participant) && !hasUpstreamFailed && !reputation.isBanned
    return isAble && !this.#participants.isSilent(participant)
  }

  hasSeeder(): boolean {
    for (const participant of this.#participants) {
      const { role, reputation } = participant
      if (role === 'seeder' && !reputation.isBanned && !this.#participants.isSilent(participant)) return true
    }
    return false
  }

  /** Upstream refused the participant, or sent it nothing for too long. */
  noteFailure(participant: Participant): void {
    participant.hasUpstreamFailed = true
    this.#failures += 1
    this.#participants.stop(participant)
  }

  /** Upstream delivers, or a participant is complete: earlier failures no longer count. */
  noteSuccess(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    for (const participant of this.#participants) participant.hasUpstreamFailed = false
  }

  /** Replaces the fetcher when `participant` already has much of what the fetcher would ask upstream for. */
  replaceFetcher(participant: Participant): void {
    const { fetcher, size = Number.POSITIVE_INFINITY } = this.#participants
    if (fetcher === undefined || participant === fetcher) return
    if (!this.#participants.mayTake(fetcher, participant)) return
    if (Math.min(givableEnd(participant), size) < fetcher.position + REPLACE_FETCHER_BYTES) return
    this.#participants.stop(fetcher)
    if (isIncomplete(participant)) this.makeFetcher(participant)
    this.#participants.assignParent(fetcher)
  }

  /** Makes a participant the fetcher that has waited for too long, because it avoids all seeders. */
  fetchForWaiting(): void {
    if (this.#participants.fetcher !== undefined) return
    const beforeMs = this.#now() - SEEDER_WAIT_MS
    const waiting = [...this.#participants].filter(
      (participant) =>
        this.#participants.isWaiting(participant) && participant.progress.assignedAtMs < beforeMs,
    )
    const next = this.bestFetcher(waiting)
    if (next !== undefined) this.makeFetcher(next)
  }

  /** Lets stuck participants ask upstream for themselves. */
  sendStuckDirect(): void {
    if (this.#directCount >= MAX_DIRECT) return
    const nowMs = this.#now()
    const stuck = [...this.#participants].filter(
      (participant) => isStuck(participant, nowMs) && !this.#participants.isSilent(participant),
    )
    for (const participant of this.#participants.inAssignmentOrder(stuck)) {
      if (this.#directCount >= MAX_DIRECT) return
      if (participant.hasUpstreamFailed) continue
      this.#directCount += 1
      this.#participants.setRole(participant, 'direct')
      this.#participants.instruct({ to: participant.id, do: 'alone' })
    }
  }

  /** The participant with the highest position; among equals the one with the lowest tie breaker. */
  bestFetcher(candidates: Iterable<Participant>): Participant | undefined {
    let best: Participant | undefined
    for (const candidate of candidates) {
      if (!this.canFetch(candidate)) continue
      if (best === undefined || candidate.position > best.position) best = candidate
      else if (candidate.position < best.position) continue
      else if (candidate.tieBreaker < best.tieBreaker) best = candidate
    }
    // Positions are known with a delay. A parent has at least the bytes of its child, so the topmost ancestor is better.
    for (let next = best?.parent; next !== undefined && best !== undefined; next = next.parent) {
      if (!this.canFetch(next) || next.position + SLACK_BYTES < best.position) break
      best = next
    }
    return best
  }

  /** Counts also participants that upstream failed while they took part in another owner's plan. */
  #hasUpstreamFailedAll(): boolean {
    const incomplete = [...this.#participants].filter(isIncomplete)
    return incomplete.length > 0 && incomplete.every(({ hasUpstreamFailed }) => hasUpstreamFailed)
  }

  #endAll(): void {
    for (const participant of [...this.#participants]) {
      if (!isIncomplete(participant)) continue
      this.#participants.instruct({ to: participant.id, do: 'end' })
      this.#participants.remove(participant)
    }
    this.#failures = 0
  }
}
