import type { MemberId } from '../identity/member.ts'
import { FormerSources } from './former-sources.ts'
import { stopStragglers } from './stragglers/slow-participants.ts'
import { ClearedFetchers, UpstreamTrials } from './stragglers/upstream-trials.ts'
import { SLACK_BYTES } from './tree/choose-parent.ts'
import { isIncomplete, newProgress, type Participant } from './tree/participant.ts'
import { Participants, type ParticipantsOptions } from './tree/participants.ts'
import type { PlanEvent, PlanInstruction } from './tree/plan-events.ts'
import { isStalled, measureFinalRate, measureRate, noteOffer } from './tree/progress-rates.ts'
import { UpstreamRoles } from './tree/upstream-roles.ts'

export interface DeliveryPlanOptions extends ParticipantsOptions {
  readonly size?: number | undefined
  /** The former owner is gone. Its participants join one by one, and the plan lets them do so before it instructs any. */
  readonly isTakeover?: boolean | undefined
  readonly clearedFetchers?: ClearedFetchers | undefined
}

type Joined = PlanEvent & { is: 'joined' }

/**
 * Decides who takes a content from whom, for all members that want it at the same time. The plan depends only on its events
 * and on the time of each. It answers with instructions, and does no input or output itself. One fetcher at a
 * time asks upstream for all; each other participant has one parent, which is ahead of it or soon will be; no
 * participant is its own ancestor.
 */
export class DeliveryPlan {
  readonly #now: () => number
  readonly #participants: Participants
  readonly #upstream: UpstreamRoles
  readonly #upstreamTrials: UpstreamTrials
  readonly #formerSources: FormerSources

  constructor(options: DeliveryPlanOptions) {
    const { now, size, isTakeover = false, clearedFetchers = new ClearedFetchers() } = options
    this.#now = now
    this.#participants = new Participants(options)
    this.#participants.size = size
    this.#upstream = new UpstreamRoles(this.#participants, now)
    this.#upstreamTrials = new UpstreamTrials(this.#participants, this.#upstream, clearedFetchers, now)
    this.#formerSources = new FormerSources(this.#participants, this.#upstream, { isTakeover, now })
  }

  get fetcher(): MemberId | undefined {
    return this.#participants.fetcher?.id
  }

  get participantCount(): number {
    return this.#participants.count
  }

  get incompleteCount(): number {
    let count = 0
    for (const participant of this.#participants) if (isIncomplete(participant)) count += 1
    return count
  }

  has(id: MemberId): boolean {
    return this.#participants.get(id) !== undefined
  }

  parentOf(id: MemberId): MemberId | undefined {
    return this.#participants.get(id)?.parent?.id
  }

  handle(event: PlanEvent): PlanInstruction[] {
    if (event.is === 'sized') this.#onSized(event.size)
    else if (event.is === 'joined') this.#onJoined(event)
    else {
      const participant = this.#participants.get(event.id)
      if (participant !== undefined) this.#onParticipantEvent(participant, event)
    }
    return this.#participants.takeInstructions()
  }

  /** To be called about four times a second. */
  tick(): PlanInstruction[] {
    if (this.#formerSources.isTakeoverDue) this.#endTakeover()
    if (!this.#formerSources.isTakeover) this.#checkProgress()
    return this.#participants.takeInstructions()
  }

  #onSized(size: number): void {
    const isNew = this.#participants.size === undefined
    this.#participants.size = size
    if (isNew) this.#assign(this.#participants)
  }

  #onJoined(event: Joined): void {
    const { id, zone, position, whole, from, hasFailed, best } = event
    const known = this.#participants.get(id)
    const waiting = known === undefined ? [] : this.#onRejoined(known, event)
    const participant = known ?? this.#participants.add(id, position)
    participant.zone = zone
    participant.receiveRates.bestBytesPerSecond ??= best
    if (hasFailed) participant.hasUpstreamFailed = true
    if (whole) this.#onComplete(participant)
    else if (from !== undefined) this.#formerSources.add(participant, from)
    if (this.#formerSources.isTakeover) return
    this.#upstream.replaceFetcher(participant)
    this.#assign([participant])
    this.#assign(waiting)
  }

  /**
   * The participant may have less than before, and may no longer do what it was instructed to do. Returns its children
   * that are ahead of it now.
   */
  #onRejoined(participant: Participant, { position, whole, from }: Joined): Participant[] {
    const { role, parent } = participant
    const hasLess = !whole && (position + SLACK_BYTES < participant.position || role === 'seeder')
    const asksUpstream = role === 'fetcher' || role === 'direct'
    const goesOn = from === 'upstream' ? asksUpstream : from !== undefined && from === parent?.id
    participant.position = position
    Object.assign(participant.progress, newProgress(this.#now(), position))
    this.#formerSources.delete(participant)
    if (!goesOn) this.#participants.stop(participant)
    if (!hasLess) return []
    return this.#participants.stopAll([...participant.children].filter((child) => child.position > position))
  }

  #onParticipantEvent(participant: Participant, event: Exclude<PlanEvent, { is: 'sized' | 'joined' }>): void {
    participant.progress.heardAtMs = this.#now()
    if (event.is === 'at') {
      participant.receiveRates.currentBytesPerSecond =
        event.receives ?? participant.receiveRates.currentBytesPerSecond
      this.#onPosition(participant, event.position)
    } else if (event.is === 'whole') this.#onComplete(participant)
    else if (event.is === 'left') this.#onLeft(participant)
    else if (event.is === 'failed') this.#onUpstreamFailed(participant)
    else this.#onParentFailed(participant, event)
  }

  #onPosition(participant: Participant, position: number): void {
    if (!isIncomplete(participant) || position <= participant.position) return
    const areFirstBytes = participant === this.#participants.fetcher && participant.position === 0
    participant.position = position
    participant.progress.movedAtMs = this.#now()
    participant.progress.stalls = 0
    participant.progress.offeredSinceMs = undefined
    participant.parent?.reputation.clearLoss(participant.id)
    if (participant.role !== undefined) this.#upstream.noteSuccess()
    if (areFirstBytes && this.#participants.size === undefined) this.#assign(this.#participants)
  }

  #onComplete(participant: Participant): void {
    if (participant.role === 'seeder') return
    const { size } = this.#participants
    participant.isSlow = false
    if (size !== undefined) measureFinalRate(participant, size, this.#now())
    this.#participants.setRole(participant, 'seeder')
    this.#upstream.noteSuccess()
  }

  #onLeft(participant: Participant): void {
    this.#formerSources.delete(participant)
    this.#assign(this.#participants.remove(participant))
  }

  #onUpstreamFailed(participant: Participant): void {
    participant.hasUpstreamFailed = true
    this.#formerSources.delete(participant, 'upstream')
    if (participant.role !== 'fetcher' && participant.role !== 'direct') return
    this.#upstream.noteFailure(participant)
    this.#assign([participant])
  }

  #onParentFailed(participant: Participant, event: PlanEvent & { is: 'lost' | 'blamed' }): void {
    this.#formerSources.delete(participant, event.parent)
    const parent = this.#participants.get(event.parent)
    if (parent === undefined) return
    const { reputation } = parent
    if (event.is === 'lost') reputation.addLoss(participant.id, this.#now())
    else reputation.addBlame(participant.id, participant.role === 'fetcher')
    const waiting = reputation.isBanned ? this.#participants.stopAll(parent.children) : []
    if (participant.parent === parent) waiting.push(...this.#participants.stopAll([participant]))
    if (reputation.isBanned && parent === this.#participants.fetcher) {
      waiting.push(...this.#participants.stopAll([parent]))
    }
    this.#assign(waiting)
  }

  /** Makes sure that there is a fetcher or a seeder, and gives parents to those of `participants` that wait. */
  #assign(participants: Iterable<Participant>): void {
    if (this.#formerSources.isTakeover) return
    this.#upstream.ensureFetcher()
    for (const participant of this.#participants.inAssignmentOrder(participants)) {
      this.#participants.assignParent(participant)
    }
  }

  #endTakeover(): void {
    this.#formerSources.endTakeover()
    for (const participant of this.#participants) this.#upstream.replaceFetcher(participant)
    this.#assign(this.#participants)
  }

  #checkProgress(): void {
    const nowMs = this.#now()
    const waiting = new Set<Participant>()
    const stop = (participants: Iterable<Participant>): void => {
      for (const participant of this.#participants.stopAll(participants)) waiting.add(participant)
    }
    for (const participant of this.#participants) {
      measureRate(participant, nowMs)
      noteOffer(participant, nowMs)
      if (this.#participants.isSilent(participant)) stop(participant.children)
      else if (isStalled(participant, nowMs)) stop(this.#onStalled(participant))
      if (this.#participants.isSilent(participant) && participant === this.#participants.fetcher) {
        this.#participants.stop(participant)
      }
    }
    const stragglers = stopStragglers(this.#participants, nowMs)
    for (const participant of stragglers.waiting) waiting.add(participant)
    for (const participant of this.#participants) {
      if (this.#participants.isWaiting(participant) && !this.#participants.isSilent(participant)) {
        waiting.add(participant)
      }
    }
    this.#assign(waiting)
    // The former children of a slow participant take from its parent now, so it gets its own parent after them.
    this.#assign(this.#participants.stopAll(stragglers.last))
    this.#upstreamTrials.tick()
    this.#upstream.fetchForWaiting()
    this.#upstream.sendStuckDirect()
  }

  /** Returns the participants that need another parent. */
  #onStalled(participant: Participant): Participant[] {
    const { progress, parent } = participant
    progress.assignedAtMs = this.#now()
    progress.stalls += 1
    if (participant === this.#participants.fetcher) {
      if (this.#participants.count > 1) this.#upstream.noteFailure(participant)
      return []
    }
    parent?.reputation.addLoss(participant.id, this.#now())
    if (progress.stalls === 1) return [participant]
    // A second parent did not help, so the participant itself is the slow one.
    participant.isSlow = true
    return [participant, ...participant.children]
  }
}
