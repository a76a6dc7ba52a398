import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'
import { scoreOf } from '../../membership/owner-ranking.ts'
import { childrenToMove, chooseParent, maxChainLength, type ParentSearch } from './choose-parent.ts'
import { isIncomplete, newProgress, type Participant, type RootRole } from './participant.ts'
import type { PlanInstruction } from './plan-events.ts'
import { isSilent, noteOffer } from './progress-rates.ts'
import { Reputation } from './reputation.ts'
import { attach, detach, makeRoot } from './tree.ts'

export interface ParticipantsOptions {
  readonly digest: string
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** Bounds the memory per plan: reputations are remembered of the 256 participants that left last. */
const MAX_REMEMBERED_REPUTATIONS = 256

/** The participants of one delivery plan, the tree that they form, and the instructions that follow from its changes. */
export class Participants {
  readonly #digest: string
  readonly #now: () => number
  readonly #all = new Map<MemberId, Participant>()
  /** Of participants that have left, so that joining again does not clear what is said against them. */
  readonly #reputations = new BoundedMap<MemberId, Reputation>(MAX_REMEMBERED_REPUTATIONS)
  readonly #instructions = new Map<MemberId, PlanInstruction>()
  /** Participants that lost their parent or role since instructions were last taken. */
  readonly #stopped = new Set<Participant>()
  #fetcher: Participant | undefined
  /** The size of the content, once it is known. */
  size: number | undefined

  constructor({ digest, now }: ParticipantsOptions) {
    this.#digest = digest
    this.#now = now
  }

  get fetcher(): Participant | undefined {
    return this.#fetcher
  }

  get count(): number {
    return this.#all.size
  }

  get rememberedReputations(): number {
    return this.#reputations.size
  }

  get(id: MemberId): Participant | undefined {
    return this.#all.get(id)
  }

  [Symbol.iterator](): Iterator<Participant> {
    return this.#all.values()
  }

  add(id: MemberId, position: number): Participant {
    const reputation = this.#reputations.get(id) ?? new Reputation()
    this.#reputations.delete(id)
    const participant: Participant = {
      id,
      tieBreaker: scoreOf(this.#digest, id),
      zone: undefined,
      position,
      role: undefined,
      parent: undefined,
      children: new Set(),
      depth: Number.POSITIVE_INFINITY,
      isSlow: false,
      hasUpstreamFailed: false,
      reputation,
      passedOver: [],
      progress: newProgress(this.#now(), position),
      receiveRates: { bestBytesPerSecond: undefined, currentBytesPerSecond: undefined },
    }
    this.#all.set(id, participant)
    return participant
  }

  /** Returns the former children, which now wait. */
  remove(participant: Participant): Participant[] {
    const { id, reputation, children } = participant
    this.stop(participant)
    this.#all.delete(id)
    if (reputation.size > 0) this.#reputations.set(id, reputation)
    return this.stopAll(children)
  }

  isSilent(participant: Participant): boolean {
    return isSilent(participant, this.#now())
  }

  isWaiting({ role, parent }: Participant): boolean {
    return role === undefined && parent === undefined
  }

  /** Takes parent and role from a participant; its children stay below it. */
  stop(participant: Participant): void {
    if (participant === this.#fetcher) this.#fetcher = undefined
    if (this.isWaiting(participant)) return
    this.#stopped.add(participant)
    participant.progress.assignedAtMs = this.#now()
    detach(participant)
  }

  /** Returns the same participants in an array, because stopping children changes the set of their parent. */
  stopAll(participants: Iterable<Participant>): Participant[] {
    const stopped = [...participants]
    for (const participant of stopped) this.stop(participant)
    return stopped
  }

  setRole(participant: Participant, role: RootRole): void {
    if (participant === this.#fetcher) this.#fetcher = undefined
    if (role === 'fetcher') this.#fetcher = participant
    // A direct participant asks upstream already, as a fetcher does, so only the name of its role changes.
    if (participant.role === 'direct' && role === 'fetcher') participant.role = role
    else makeRoot(participant, role)
    participant.progress.assignedAtMs = this.#now()
    participant.progress.movedAtMs = this.#now()
  }

  setParent(child: Participant, parent: Participant): void {
    attach(child, parent)
    child.progress.assignedAtMs = this.#now()
    noteOffer(child, this.#now())
    this.instruct({ to: child.id, do: 'take', from: parent.id })
  }

  /** Gives a waiting participant the best parent, if there is any. */
  assignParent(participant: Participant): void {
    const isPresent = this.#all.get(participant.id) === participant
    if (!this.isWaiting(participant) || !isPresent || !this.#mayAssign()) return
    const search: ParentSearch = {
      participants: this,
      mayTake: (child, parent) => this.mayTake(child, parent),
      maxChainLength: maxChainLength(this.size),
    }
    const parent = chooseParent(participant, search)
    if (parent === undefined) return
    this.setParent(participant, parent)
    for (const child of childrenToMove(participant, parent, search)) this.setParent(child, participant)
  }

  /** False while `child` avoids `parent`, or the parent is silent. */
  mayTake(child: Participant, parent: Participant): boolean {
    return !this.isSilent(parent) && !parent.reputation.isAvoidedBy(child.id, this.#now())
  }

  /**
   * The order in which participants are given parents: the fetcher's zone first, then zone by zone, and in each zone the
   * participant with the highest position first, so that those ahead of it are already in the tree.
   */
  inAssignmentOrder(participants: Iterable<Participant>): Participant[] {
    const firstZone = this.#fetcher?.zone
    const zoneKey = ({ zone }: Participant): string => (zone === firstZone ? '' : `/${zone ?? ''}`)
    return [...participants].sort((one, other) => {
      const [oneZone, otherZone] = [zoneKey(one), zoneKey(other)]
      if (oneZone !== otherZone) return oneZone < otherZone ? -1 : 1
      return other.position - one.position || one.tieBreaker - other.tieBreaker
    })
  }

  /** Replaces the participant's earlier instruction if that was not taken yet. */
  instruct(instruction: PlanInstruction): void {
    this.#instructions.delete(instruction.to)
    this.#instructions.set(instruction.to, instruction)
  }

  /** The instructions since the last call. */
  takeInstructions(): PlanInstruction[] {
    for (const participant of this.#stopped) {
      const isPresent = this.#all.get(participant.id) === participant
      if (isPresent && isIncomplete(participant) && this.isWaiting(participant)) {
        this.instruct({ to: participant.id, do: 'wait' })
      }
    }
    this.#stopped.clear()
    const instructions = [...this.#instructions.values()]
    this.#instructions.clear()
    return instructions
  }

  /**
   * Until upstream has answered the fetcher, there are no bytes to take, and the size that bounds a chain is unknown.
   * Waiting lets more members join before the tree is formed.
   */
  #mayAssign(): boolean {
    return this.size !== undefined || this.#fetcher === undefined || this.#fetcher.position > 0
  }
}
