import type { MemberId } from '../identity/member.ts'
import { creepingAmong } from './stragglers/creeping.ts'
import { Excused } from './stragglers/excused.ts'
import { Handovers } from './stragglers/handovers.ts'
import { Reluctant } from './stragglers/reluctant.ts'
import { starvingBesideIdle } from './stragglers/starving.ts'
import { UpstreamTurns } from './stragglers/upstream-turns.ts'
import { SLACK } from './tree/choose-parent.ts'
import { isWanting, newPace, type Party, reachOf } from './tree/participant.ts'
import { Parties, type PartiesOptions } from './tree/participants.ts'
import type { Event, Order } from './tree/plan-events.ts'
import { isStalled, measure, measureEnd, noteOffer } from './tree/progress-rates.ts'
import { attach, isBehind } from './tree/tree.ts'

export interface GatheringOptions extends PartiesOptions {
  readonly size?: number | undefined
  /** Another owner is gone, and those who were with it come one by one: they are heard out before anything is begun. */
  readonly takeover?: boolean | undefined
  /** As known from other gatherings. */
  readonly excused?: Excused | undefined
}

const TAKEOVER_MS = 300

type Joined = Event & { is: 'joined' }

/**
 * Who takes a content from whom, for all members that want it at the same time. It is all in what its owner was told and
 * when; it does nothing by itself but say what each member is to do. Nobody follows itself over others; one at a time
 * brings the content from upstream; each has one parent, at or ahead of it, or on the way there.
 */
export class Gathering {
  readonly #now: () => number
  readonly #parties: Parties
  readonly #turns: UpstreamTurns
  readonly #reluctant: Reluctant
  readonly #handovers: Handovers
  readonly #opensAt: number
  /** What those who came before that were at. */
  #claims: Map<Party, MemberId | 'upstream'> | undefined

  constructor(options: GatheringOptions) {
    const { now, size, takeover = false, excused = new Excused() } = options
    this.#now = now
    this.#parties = new Parties(options)
    this.#parties.bytes = size
    this.#turns = new UpstreamTurns(this.#parties, now)
    this.#reluctant = new Reluctant(this.#parties, this.#turns, now)
    this.#handovers = new Handovers(this.#parties, this.#turns, excused, now)
    this.#opensAt = now() + TAKEOVER_MS
    if (takeover) this.#claims = new Map()
  }

  get head(): MemberId | undefined {
    return this.#parties.head?.id
  }

  /** All who are here. */
  get size(): number {
    return this.#parties.size
  }

  /** Those who have not got all of it. */
  get wanting(): number {
    let count = 0
    for (const party of this.#parties) if (isWanting(party)) count += 1
    return count
  }

  has(id: MemberId): boolean {
    return this.#parties.get(id) !== undefined
  }

  parentOf(id: MemberId): MemberId | undefined {
    return this.#parties.get(id)?.parent?.id
  }

  on(event: Event): Order[] {
    if (event.is === 'sized') this.#sized(event.size)
    else if (event.is === 'joined') this.#joined(event)
    else {
      const party = this.#parties.get(event.id)
      if (party !== undefined) this.#told(party, event)
    }
    return this.#parties.orders()
  }

  /** To be called about four times a second. */
  tick(): Order[] {
    if (this.#claims !== undefined && this.#now() >= this.#opensAt) this.#open()
    if (this.#claims === undefined) this.#look()
    return this.#parties.orders()
  }

  #sized(size: number): void {
    const isNews = this.#parties.bytes === undefined
    this.#parties.bytes = size
    if (isNews) this.#arrange(this.#parties)
  }

  #joined(event: Joined): void {
    const { id, zone, position, whole, from, hasFailed, best } = event
    const known = this.#parties.get(id)
    const left = known === undefined ? [] : this.#returned(known, event)
    const party = known ?? this.#parties.add(id, position)
    party.zone = zone
    party.word.best ??= best
    if (hasFailed) party.hasFailed = true
    if (whole) this.#hasAll(party)
    else if (from !== undefined && this.#claims !== undefined) this.#claims.set(party, from)
    else if (from !== undefined) this.#adopt(party, from)
    if (this.#claims !== undefined) return
    this.#turns.relieve(party)
    this.#arrange([party])
    this.#arrange(left)
  }

  /** One who was here already: it may have less than it had, and do nothing of what it was told. Gives who cannot wait for it. */
  #returned(party: Party, { position, whole, from }: Joined): Party[] {
    const { root, parent } = party
    const hasLess = !whole && (position + SLACK < party.position || root === 'holder')
    const isBringing = root === 'head' || root === 'alone'
    const goesOn = from === 'upstream' ? isBringing : from !== undefined && from === parent?.id
    party.position = position
    Object.assign(party.pace, newPace(this.#now(), position))
    this.#claims?.delete(party)
    if (!goesOn) this.#parties.stop(party)
    if (!hasLess) return []
    return this.#parties.scatter([...party.children].filter((child) => child.position > position))
  }

  #told(party: Party, event: Exclude<Event, { is: 'sized' | 'joined' }>): void {
    party.pace.heardAt = this.#now()
    if (event.is === 'at') {
      party.word.now = event.receives ?? party.word.now
      this.#moved(party, event.position)
    } else if (event.is === 'whole') this.#hasAll(party)
    else if (event.is === 'left') this.#left(party)
    else if (event.is === 'failed') this.#failed(party)
    else this.#accused(party, event)
  }

  #moved(party: Party, position: number): void {
    if (!isWanting(party) || position <= party.position) return
    const isFirst = party === this.#parties.head && party.position === 0
    party.position = position
    party.pace.movedAt = this.#now()
    party.pace.stalls = 0
    party.pace.offeredAt = undefined
    party.parent?.suspicions.clear(party.id)
    if (party.root !== undefined) this.#turns.succeeded()
    if (isFirst && this.#parties.bytes === undefined) this.#arrange(this.#parties)
  }

  #hasAll(party: Party): void {
    if (party.root === 'holder') return
    party.isSlow = false
    if (this.#parties.bytes !== undefined) measureEnd(party, this.#parties.bytes, this.#now())
    this.#parties.raise(party, 'holder')
    this.#turns.succeeded()
  }

  #left(party: Party): void {
    this.#claims?.delete(party)
    this.#arrange(this.#parties.remove(party))
  }

  #failed(party: Party): void {
    party.hasFailed = true
    if (this.#claims?.get(party) === 'upstream') this.#claims.delete(party)
    if (party.root !== 'head' && party.root !== 'alone') return
    this.#turns.failed(party)
    this.#arrange([party])
  }

  #accused(party: Party, event: Event & { is: 'lost' | 'blamed' }): void {
    if (this.#claims?.get(party) === event.parent) this.#claims.delete(party)
    const parent = this.#parties.get(event.parent)
    if (parent === undefined) return
    const { suspicions } = parent
    if (event.is === 'lost') suspicions.lose(party.id, this.#now())
    else suspicions.blame(party.id, party.root === 'head')
    const left = suspicions.isOutcast ? this.#parties.scatter(parent.children) : []
    if (party.parent === parent) left.push(...this.#parties.scatter([party]))
    if (suspicions.isOutcast && parent === this.#parties.head) left.push(...this.#parties.scatter([parent]))
    this.#arrange(left)
  }

  /** Sees to it that somebody brings it, and that these have their places. */
  #arrange(left: Iterable<Party>): void {
    if (this.#claims !== undefined) return
    this.#turns.ensure()
    for (const party of this.#parties.inOrder(left)) this.#parties.place(party)
  }

  /** Lets it go on with what it is at, where that makes sense. */
  #adopt(party: Party, from: MemberId | 'upstream'): void {
    if (!this.#parties.isWaiting(party)) return
    if (from === 'upstream') {
      if (this.#parties.head === undefined && !this.#turns.hasHolder()) this.#parties.raise(party, 'head')
      return
    }
    const parent = this.#parties.get(from)
    if (parent === undefined || isBehind(parent, party) || !this.#parties.mayTake(party, parent)) return
    if (reachOf(parent) + SLACK >= party.position) attach(party, parent)
  }

  /** Everyone who was to come in the first moments has. */
  #open(): void {
    const claims = [...(this.#claims ?? [])].sort(([one], [other]) => other.position - one.position)
    this.#claims = undefined
    for (const [party, from] of claims) if (from !== 'upstream') this.#adopt(party, from)
    for (const [party, from] of claims) if (from === 'upstream') this.#adopt(party, from)
    for (const party of this.#parties) this.#turns.relieve(party)
    this.#arrange(this.#parties)
  }

  #look(): void {
    const now = this.#now()
    const left = new Set<Party>()
    const last: Party[] = []
    const leave = (parties: Iterable<Party>): void => {
      for (const party of this.#parties.scatter(parties)) left.add(party)
    }
    for (const party of this.#parties) {
      measure(party, now)
      noteOffer(party, now)
      if (this.#parties.isSilent(party)) leave(party.children)
      else if (isStalled(party, now)) leave(this.#stalled(party))
      if (this.#parties.isSilent(party) && party === this.#parties.head) this.#parties.stop(party)
    }
    const { slow, cleared } = creepingAmong(this.#parties, this.#parties.bytes, now)
    for (const party of slow) {
      party.isSlow = true
      if (party.root === undefined && party.children.size > 0) last.push(party)
      leave(party.children)
    }
    for (const party of cleared) party.isSlow = false
    leave(cleared.filter(({ root, children }) => root === undefined && children.size === 0))
    for (const party of this.#reluctant.look()) left.add(party)
    leave(starvingBesideIdle(this.#parties, this.#parties.bytes, now))
    for (const party of this.#parties) {
      if (this.#parties.isWaiting(party) && !this.#parties.isSilent(party)) left.add(party)
    }
    this.#arrange(left)
    // Where it was, those who were behind it are now.
    this.#arrange(this.#parties.scatter(last))
    this.#handovers.look()
    this.#turns.volunteer()
    this.#turns.help()
  }

  /** It stands still although there is something to be had. Gives whose places are wrong. */
  #stalled(party: Party): Party[] {
    const { pace, parent } = party
    pace.placedAt = this.#now()
    pace.stalls += 1
    if (party === this.#parties.head) {
      if (this.#parties.size > 1) this.#turns.failed(party)
      return []
    }
    parent?.suspicions.lose(party.id, this.#now())
    if (pace.stalls === 1) return [party]
    // Another parent was no help, so it is not the parents.
    party.isSlow = true
    return [party, ...party.children]
  }
}
