import type { MemberId } from './member.ts'
import { drawOf } from './owner.ts'
import { isWanting, newPace, type Party, reachOf } from './party.ts'
import { chooseParent, displacedBy, type Ground, longestChain, SLACK } from './placing.ts'
import { creepersAmong, isSilent, isStalled, isStuck, measure, noteOffer } from './pulse.ts'
import { attach, detach, isBehind, uproot } from './shape.ts'
import { Suspicions } from './suspicion.ts'

/** What the owner of a digest hears. What comes from somebody who is not in the gathering, but `joined`, says nothing. */
export type Event =
  /** The size has become known. */
  | { readonly is: 'sized'; readonly size: number }
  /**
   * It wants the content or, when `whole`, offers it. `from`: what it is at already, by order of another owner; it goes on
   * unless it is told otherwise. Who comes again has lost its line in between.
   */
  | {
      readonly is: 'joined'
      readonly id: MemberId
      readonly zone: string | undefined
      /** It is sure of all bytes before this, and can give them. */
      readonly position: number
      readonly whole: boolean
      readonly from?: MemberId | 'upstream' | undefined
    }
  /** It has got on; also at least once a second when it has not. */
  | { readonly is: 'at'; readonly id: MemberId; readonly position: number }
  /** The parent cannot be reached, broke off, is silent or has not got it. */
  | { readonly is: 'lost'; readonly id: MemberId; readonly parent: MemberId }
  /** The parent sent wrong bytes. */
  | { readonly is: 'blamed'; readonly id: MemberId; readonly parent: MemberId }
  /** Upstream failed it. */
  | { readonly is: 'failed'; readonly id: MemberId }
  | { readonly is: 'whole'; readonly id: MemberId }
  | { readonly is: 'left'; readonly id: MemberId }

/**
 * What a member is to do, instead of what it did before: bring the content from upstream for all (`fetch`), or for itself
 * as nobody here can help it (`alone`), take it from another, each from where it is; do nothing until there is somebody
 * (`wait`); or give up, since those who tried upstream were failed by it (`end`): it has left with that.
 */
export type Order =
  | { readonly to: MemberId; readonly do: 'fetch' }
  | { readonly to: MemberId; readonly do: 'take'; readonly from: MemberId }
  | { readonly to: MemberId; readonly do: 'alone' }
  | { readonly to: MemberId; readonly do: 'wait' }
  | { readonly to: MemberId; readonly do: 'end' }

export interface GatheringOptions {
  readonly digest: string
  /** The owner. */
  readonly self: MemberId
  readonly size?: number | undefined
  /** Another owner is gone, and those who were with it come one by one: they are heard out before anything is begun. */
  readonly takeover?: boolean | undefined
  /** Milliseconds, of a clock that does not jump. */
  readonly now: () => number
}

const TAKEOVER_MS = 300
/** So many may be failed by upstream one after the other, without a byte of progress, before it is the end for all. */
const MOST_FAILURES = 3
const MOST_ALONE = 2
const PATIENCE_MS = 3000
/** A head gives way to one that is ahead of it by so much: what is here already need not come from upstream. */
const RELIEF = 4 * 2 ** 20

/**
 * Who takes a content from whom, for all members that want it at the same time. It is all in what its owner was told and
 * when; it does nothing by itself but say what each member is to do. Nobody follows itself over others; one at a time
 * brings the content from upstream; each has one parent, at or ahead of it, or on the way there.
 */
export class Gathering {
  readonly #digest: string
  readonly #self: MemberId
  readonly #now: () => number
  readonly #parties = new Map<MemberId, Party>()
  /** Also of those who have left: by coming again nobody becomes trustworthy. */
  readonly #suspicions = new Map<MemberId, Suspicions>()
  readonly #opensAt: number
  /** What those who came before that were at. */
  #claims: Map<Party, MemberId | 'upstream'> | undefined
  #size: number | undefined
  #head: Party | undefined
  #failures = 0
  #alone = 0
  #orders = new Map<MemberId, Order>()
  /** Those who are to stop what they are at. */
  #stopped = new Set<Party>()

  constructor({ digest, self, size, takeover, now }: GatheringOptions) {
    this.#digest = digest
    this.#self = self
    this.#size = size
    this.#now = now
    this.#opensAt = takeover === true ? now() + TAKEOVER_MS : now()
    if (takeover === true) this.#claims = new Map()
  }

  get head(): MemberId | undefined {
    return this.#head?.id
  }

  /** All who are here. */
  get size(): number {
    return this.#parties.size
  }

  /** Those who have not got all of it. */
  get wanting(): number {
    let count = 0
    for (const party of this.#parties.values()) if (isWanting(party)) count += 1
    return count
  }

  has(id: MemberId): boolean {
    return this.#parties.has(id)
  }

  parentOf(id: MemberId): MemberId | undefined {
    return this.#parties.get(id)?.parent?.id
  }

  positionOf(id: MemberId): number | undefined {
    return this.#parties.get(id)?.position
  }

  on(event: Event): Order[] {
    if (event.is === 'sized') this.#sized(event.size)
    else if (event.is === 'joined') this.#joined(event)
    else {
      const party = this.#parties.get(event.id)
      if (party !== undefined) {
        party.pace.heardAt = this.#now()
        this.#told(party, event)
      }
    }
    return this.#said()
  }

  /** To be called about four times a second. */
  tick(): Order[] {
    if (this.#claims !== undefined && this.#now() >= this.#opensAt) this.#open()
    if (this.#claims === undefined) this.#look()
    return this.#said()
  }

  #said(): Order[] {
    for (const { id, root, parent } of this.#stopped) {
      if (root !== undefined || parent !== undefined || !this.#parties.has(id)) continue
      this.#order({ to: id, do: 'wait' })
    }
    this.#stopped.clear()
    const orders = [...this.#orders.values()]
    this.#orders.clear()
    return orders
  }

  #order(order: Order): void {
    // One order to a member at a time: the last one holds.
    this.#orders.delete(order.to)
    this.#orders.set(order.to, order)
  }

  #sized(size: number): void {
    const isNews = this.#size === undefined
    this.#size = size
    if (isNews) this.#placeAll()
  }

  #joined({ id, zone, position, whole, from }: Event & { is: 'joined' }): void {
    const now = this.#now()
    let party = this.#parties.get(id)
    const left = party === undefined ? [] : this.#returned(party, position, whole, from)
    if (party === undefined) {
      party = {
        id,
        draw: drawOf(this.#digest, id),
        zone,
        position,
        root: undefined,
        parent: undefined,
        children: new Set(),
        depth: Number.POSITIVE_INFINITY,
        isSlow: false,
        hasFailed: false,
        suspicions: this.#suspicionsOf(id),
        pace: newPace(now, position),
      }
      this.#parties.set(id, party)
    }
    party.zone = zone
    if (whole) this.#hasAll(party)
    else if (from !== undefined && this.#claims !== undefined) this.#claims.set(party, from)
    else if (from !== undefined) this.#adopt(party, from)
    if (this.#claims !== undefined) return
    this.#relieve(party)
    this.#ensureHead()
    this.#place(party)
    for (const child of left) this.#place(child)
  }

  /** One who was here already: it may have less than it had, and do nothing of what it was told. Gives who is left without a parent. */
  #returned(
    party: Party,
    position: number,
    whole: boolean,
    from: MemberId | 'upstream' | undefined,
  ): Party[] {
    const now = this.#now()
    const hasLess = !whole && (position + SLACK < party.position || !isWanting(party))
    party.position = position
    Object.assign(party.pace, newPace(now, position))
    this.#claims?.delete(party)
    const isBringing = party.root === 'head' || party.root === 'alone'
    const goesOn = from === 'upstream' ? isBringing : from !== undefined && from === party.parent?.id
    if (!goesOn) this.#uphold(party)
    return hasLess ? this.#scatter([...party.children].filter((child) => child.position > position)) : []
  }

  #told(party: Party, event: Exclude<Event, { is: 'sized' | 'joined' }>): void {
    if (event.is === 'at') this.#moved(party, event.position)
    else if (event.is === 'whole') this.#hasAll(party)
    else if (event.is === 'left') this.#leave(party)
    else if (event.is === 'failed') this.#failed(party)
    else this.#accuse(party, event)
  }

  #moved(party: Party, position: number): void {
    if (!isWanting(party) || position <= party.position) return
    const isFirst = party === this.#head && party.position === 0
    party.position = position
    party.pace.movedAt = this.#now()
    party.pace.stalls = 0
    party.pace.offeredAt = undefined
    party.parent?.suspicions.clear(party.id)
    if (party.root !== undefined) this.#succeeded()
    if (isFirst) this.#placeAll()
  }

  #hasAll(party: Party): void {
    if (party.root === 'holder') return
    if (party === this.#head) this.#head = undefined
    party.pace.movedAt = this.#now()
    party.isSlow = false
    uproot(party, 'holder')
    this.#succeeded()
  }

  #succeeded(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    for (const party of this.#parties.values()) party.hasFailed = false
  }

  #leave(party: Party): void {
    this.#uphold(party)
    this.#parties.delete(party.id)
    this.#claims?.delete(party)
    this.#rearrange(this.#scatter(party.children))
  }

  #failed(party: Party): void {
    if (party.root !== 'head' && party.root !== 'alone') return
    this.#giveUp(party)
    this.#rearrange([party])
  }

  #giveUp(party: Party): void {
    party.hasFailed = true
    this.#failures += 1
    this.#uphold(party)
  }

  #accuse(party: Party, event: Event & { is: 'lost' | 'blamed' }): void {
    const parent = this.#parties.get(event.parent)
    if (parent === undefined) return
    if (event.is === 'lost') parent.suspicions.lose(party.id, this.#now())
    else parent.suspicions.blame(party.id, party.root === 'head')
    const left = parent.suspicions.isOutcast ? this.#scatter(parent.children) : []
    if (party.parent === parent) left.push(...this.#scatter([party]))
    if (parent.suspicions.isOutcast && parent === this.#head) {
      this.#uphold(parent)
      left.push(parent)
    }
    this.#rearrange(left)
  }

  #suspicionsOf(id: MemberId): Suspicions {
    const known = this.#suspicions.get(id) ?? new Suspicions()
    this.#suspicions.set(id, known)
    return known
  }

  /** Ends what it is at; who is behind it stays there. */
  #uphold(party: Party): void {
    if (party === this.#head) this.#head = undefined
    if (party.parent === undefined && party.root === undefined) return
    this.#stopped.add(party)
    party.pace.placedAt = this.#now()
    detach(party)
  }

  #scatter(children: Iterable<Party>): Party[] {
    const left = [...children]
    for (const child of left) this.#uphold(child)
    return left
  }

  #rearrange(left: readonly Party[]): void {
    if (this.#claims !== undefined) return
    this.#ensureHead()
    for (const party of this.#inOrder(left)) this.#place(party)
  }

  #placeAll(): void {
    if (this.#claims === undefined) this.#rearrange([...this.#parties.values()])
  }

  /** Gives a party that waits a parent, if there is one and it is known how long chains may become. */
  #place(party: Party): void {
    if (party.root !== undefined || party.parent !== undefined || !this.#parties.has(party.id)) return
    if (!this.#isKnown()) return
    const ground = this.#ground()
    const parent = chooseParent(party, ground)
    if (parent === undefined) return
    this.#give(party, parent)
    for (const child of displacedBy(party, parent, ground)) this.#give(child, party)
  }

  #give(child: Party, parent: Party): void {
    attach(child, parent)
    child.pace.placedAt = this.#now()
    noteOffer(child, this.#now())
    this.#order({ to: child.id, do: 'take', from: parent.id })
  }

  /** Until the head has an answer from upstream there is nothing to be taken, and much to be learnt about who comes. */
  #isKnown(): boolean {
    if (this.#size !== undefined || (this.#head?.position ?? 0) > 0) return true
    return this.#head === undefined
  }

  #ground(): Ground {
    const now = this.#now()
    return {
      parties: this.#parties.values(),
      mayTake: (child, parent) =>
        !isSilent(parent, now, this.#self) && !parent.suspicions.areHeldBy(child.id, now),
      chain: longestChain(this.#size),
    }
  }

  #adopt(party: Party, from: MemberId | 'upstream'): void {
    if (party.root !== undefined) return
    if (from === 'upstream') {
      if (this.#head === undefined && this.#holder() === undefined) this.#lead(party)
      return
    }
    const parent = this.#parties.get(from)
    if (parent === undefined || isBehind(parent, party)) return
    if (reachOf(parent) + SLACK >= party.position) attach(party, parent)
  }

  /** One has come that has much of what the head has yet to bring. */
  #relieve(party: Party): void {
    const head = this.#head
    if (head === undefined || party === head || !this.#ground().mayTake(head, party)) return
    const reach = Math.min(reachOf(party), this.#size ?? Number.POSITIVE_INFINITY)
    if (reach < head.position + RELIEF) return
    this.#uphold(head)
    if (isWanting(party)) this.#send(party)
    this.#place(head)
  }

  #lead(party: Party): void {
    uproot(party, 'head')
    this.#head = party
    party.pace.placedAt = this.#now()
    party.pace.movedAt = this.#now()
  }

  /** To upstream. */
  #send(party: Party): void {
    this.#lead(party)
    this.#order({ to: party.id, do: 'fetch' })
  }

  #holder(): Party | undefined {
    const now = this.#now()
    for (const party of this.#parties.values()) {
      const { root, suspicions } = party
      if (root === 'holder' && !suspicions.isOutcast && !isSilent(party, now, this.#self)) return party
    }
    return undefined
  }

  #ensureHead(): void {
    if (this.#head !== undefined || this.#holder() !== undefined) return
    const isAtIt = [...this.#parties.values()].find(
      ({ root, suspicions }) => root === 'alone' && !suspicions.isOutcast,
    )
    if (isAtIt !== undefined) {
      isAtIt.root = 'head'
      this.#head = isAtIt
      return
    }
    const next = this.#failures < MOST_FAILURES ? this.#nextHead(this.#parties.values()) : undefined
    if (next !== undefined) this.#send(next)
    else if (this.#failures > 0) this.#end()
  }

  /** Who has most of it; of those the owner, then whom the lot says. */
  #nextHead(among: Iterable<Party>): Party | undefined {
    const now = this.#now()
    const isFit = (party: Party): boolean =>
      isWanting(party) && !party.hasFailed && !party.suspicions.isOutcast && !isSilent(party, now, this.#self)
    let next: Party | undefined
    for (const party of among) {
      if (!isFit(party)) continue
      if (next === undefined || party.position > next.position) next = party
      else if (party.position < next.position || next.id === this.#self) continue
      else if (party.id === this.#self || party.draw < next.draw) next = party
    }
    // What is known is a moment old. Its parent has had whatever it has.
    while (next?.parent !== undefined && isFit(next.parent) && next.parent.position + SLACK >= next.position)
      next = next.parent
    return next
  }

  #end(): void {
    for (const party of [...this.#parties.values()]) {
      if (!isWanting(party)) continue
      this.#order({ to: party.id, do: 'end' })
      this.#scatter(party.children)
      this.#uphold(party)
      this.#parties.delete(party.id)
    }
    this.#failures = 0
  }

  /** Everyone who was to come in the first moments has: what they are at goes on where it makes sense. */
  #open(): void {
    const claims = [...(this.#claims ?? [])].sort(([one], [other]) => other.position - one.position)
    this.#claims = undefined
    for (const [party, from] of claims) if (from !== 'upstream') this.#adopt(party, from)
    for (const [party, from] of claims) {
      if (from === 'upstream' && party.parent === undefined) this.#adopt(party, from)
    }
    for (const party of this.#parties.values()) this.#relieve(party)
    this.#placeAll()
  }

  #look(): void {
    const now = this.#now()
    const left: Party[] = []
    for (const party of this.#parties.values()) {
      measure(party, now)
      noteOffer(party, now)
      if (isSilent(party, now, this.#self)) {
        left.push(...this.#scatter(party.children))
        if (party === this.#head) this.#uphold(party)
      } else if (isStalled(party, now)) left.push(...this.#stalled(party))
    }
    const creepers = creepersAmong(this.#parties.values(), now)
    for (const party of creepers) {
      party.isSlow = true
      // It need not have been their fault.
      for (const child of party.children) child.isSlow = false
      left.push(...this.#scatter(party.children))
    }
    for (const party of this.#parties.values()) {
      if (party.root === undefined && party.parent === undefined && !isSilent(party, now, this.#self))
        left.push(party)
    }
    this.#rearrange([...new Set(left)])
    this.#volunteer(now)
    this.#help(now)
  }

  /** It stands still although there is something to be had. Gives who is to be placed anew. */
  #stalled(party: Party): Party[] {
    const { pace, parent } = party
    pace.placedAt = this.#now()
    pace.stalls += 1
    if (party === this.#head) {
      if (this.#parties.size === 1) return []
      this.#giveUp(party)
      return [party]
    }
    parent?.suspicions.lose(party.id, this.#now())
    if (pace.stalls === 1) return this.#scatter([party])
    // Another parent was no help, so it is not the parents.
    party.isSlow = true
    return this.#scatter([party, ...party.children])
  }

  /** There are those who have it, and no head; but somebody cannot take it from any of them. */
  #volunteer(now: number): void {
    if (this.#head !== undefined) return
    const without = [...this.#parties.values()].filter(
      ({ root, parent, pace }) =>
        root === undefined && parent === undefined && now - pace.placedAt > PATIENCE_MS,
    )
    const next = this.#nextHead(without)
    if (next !== undefined) this.#send(next)
  }

  /** Upstream is there for whom nobody here can help; but only for a few, or it would be asked by all. */
  #help(now: number): void {
    if (this.#alone >= MOST_ALONE) return
    const stuck = [...this.#parties.values()].filter(
      (party) => isStuck(party, now) && !isSilent(party, now, this.#self),
    )
    for (const party of this.#inOrder(stuck)) {
      if (this.#alone >= MOST_ALONE) return
      if (party.hasFailed) continue
      this.#alone += 1
      uproot(party, 'alone')
      party.pace.placedAt = now
      party.pace.movedAt = now
      this.#order({ to: party.id, do: 'alone' })
    }
  }

  /** Those of the head's zone, then zone by zone; who has most first, so each finds those ahead of it in their places. */
  #inOrder(parties: readonly Party[]): Party[] {
    const first = this.#head?.zone
    const zoneOf = ({ zone }: Party): string => (zone === first ? '' : `/${zone ?? ''}`)
    return [...parties].sort((one, other) => {
      const [zone, next] = [zoneOf(one), zoneOf(other)]
      if (zone !== next) return zone < next ? -1 : 1
      return other.position - one.position || one.draw - other.draw
    })
  }
}
