import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'
import { drawOf } from '../../membership/owner.ts'
import { chooseParent, displacedBy, type Ground, longestChain } from './choose-parent.ts'
import { isWanting, newPace, type Party, type Root } from './participant.ts'
import type { Order } from './plan-events.ts'
import { isSilent, noteOffer } from './progress-rates.ts'
import { Suspicions } from './reputation.ts'
import { attach, detach, uproot } from './tree.ts'

export interface PartiesOptions {
  readonly digest: string
  /** The owner. */
  readonly self: MemberId
  /** Milliseconds, of a clock that does not jump. */
  readonly now: () => number
  /** How much each gives elsewhere, too; default: nothing. */
  readonly loadOf?: (id: MemberId) => number
}

/** Of those who have left, so many are remembered for what there is against them, the latest. */
const MOST_REMEMBERED = 256

/** Who is in a gathering, who takes from whom, and what is to be said to whom about that. */
export class Parties {
  readonly self: MemberId
  readonly #digest: string
  readonly #now: () => number
  readonly #all = new Map<MemberId, Party>()
  /** Against those who have left: by coming again nobody becomes trustworthy. */
  readonly #remembered = new BoundedMap<MemberId, Suspicions>(MOST_REMEMBERED)
  readonly #loadOf: (id: MemberId) => number
  readonly #orders = new Map<MemberId, Order>()
  /** Those who are to stop what they are at. */
  readonly #stopped = new Set<Party>()
  #head: Party | undefined
  /** Of the content, when it is known. */
  bytes: number | undefined

  constructor({ digest, self, now, loadOf = () => 0 }: PartiesOptions) {
    this.#digest = digest
    this.self = self
    this.#now = now
    this.#loadOf = loadOf
  }

  get head(): Party | undefined {
    return this.#head
  }

  get size(): number {
    return this.#all.size
  }

  /** How many are who have left and have something against them. */
  get remembered(): number {
    return this.#remembered.size
  }

  get(id: MemberId): Party | undefined {
    return this.#all.get(id)
  }

  [Symbol.iterator](): Iterator<Party> {
    return this.#all.values()
  }

  add(id: MemberId, position: number): Party {
    const suspicions = this.#remembered.get(id) ?? new Suspicions()
    this.#remembered.delete(id)
    const party: Party = {
      id,
      draw: drawOf(this.#digest, id),
      zone: undefined,
      position,
      root: undefined,
      parent: undefined,
      children: new Set(),
      depth: Number.POSITIVE_INFINITY,
      isSlow: false,
      hasFailed: false,
      suspicions,
      passedOver: [],
      pace: newPace(this.#now(), position),
      word: { best: undefined, now: undefined },
    }
    this.#all.set(id, party)
    return party
  }

  /** Gives those who took from it, in need of another parent. */
  remove(party: Party): Party[] {
    this.stop(party)
    this.#all.delete(party.id)
    this.#remember(party)
    return this.scatter(party.children)
  }

  #remember({ id, suspicions }: Party): void {
    if (suspicions.size === 0) return
    this.#remembered.set(id, suspicions)
  }

  isSilent(party: Party): boolean {
    return isSilent(party, this.#now(), this.self)
  }

  /** It has no parent, and needs one. */
  isWaiting(party: Party): boolean {
    return party.root === undefined && party.parent === undefined
  }

  /** Ends what it is at; who is behind it stays there. */
  stop(party: Party): void {
    if (party === this.#head) this.#head = undefined
    if (this.isWaiting(party)) return
    this.#stopped.add(party)
    party.pace.placedAt = this.#now()
    detach(party)
  }

  scatter(children: Iterable<Party>): Party[] {
    const left = [...children]
    for (const child of left) this.stop(child)
    return left
  }

  /** Makes it one that needs no parent. */
  raise(party: Party, root: Root): void {
    if (party === this.#head) this.#head = undefined
    if (root === 'head') this.#head = party
    // One who was alone does already what a head does.
    if (party.root === 'alone' && root === 'head') party.root = root
    else uproot(party, root)
    party.pace.placedAt = this.#now()
    party.pace.movedAt = this.#now()
  }

  give(child: Party, parent: Party): void {
    attach(child, parent)
    child.pace.placedAt = this.#now()
    noteOffer(child, this.#now())
    this.order({ to: child.id, do: 'take', from: parent.id })
  }

  /** Gives a party that waits a parent, if there is one and it is known how long chains may become. */
  place(party: Party): void {
    if (!this.isWaiting(party) || this.#all.get(party.id) !== party || !this.#isKnown()) return
    const ground: Ground = {
      parties: this,
      mayTake: (child, parent) => this.mayTake(child, parent),
      chain: longestChain(this.bytes),
      loadOf: this.#loadOf,
    }
    const parent = chooseParent(party, ground)
    if (parent === undefined) return
    this.give(party, parent)
    for (const child of displacedBy(party, parent, ground)) this.give(child, party)
  }

  /** Whether one may be given to the other now, as far as their past goes. */
  mayTake(child: Party, parent: Party): boolean {
    return !this.isSilent(parent) && !parent.suspicions.areHeldBy(child.id, this.#now())
  }

  /** Those of the head's zone, then zone by zone; who has most first, so each finds those ahead of it in their places. */
  inOrder(parties: Iterable<Party>): Party[] {
    const first = this.#head?.zone
    const zoneOf = ({ zone }: Party): string => (zone === first ? '' : `/${zone ?? ''}`)
    return [...parties].sort((one, other) => {
      const [zone, next] = [zoneOf(one), zoneOf(other)]
      if (zone !== next) return zone < next ? -1 : 1
      return other.position - one.position || one.draw - other.draw
    })
  }

  /** One order to a member at a time: the last one holds. */
  order(order: Order): void {
    this.#orders.delete(order.to)
    this.#orders.set(order.to, order)
  }

  /** All that was ordered since it was last asked for. */
  orders(): Order[] {
    for (const party of this.#stopped) {
      const isHere = this.#all.get(party.id) === party
      if (isHere && isWanting(party) && this.isWaiting(party)) this.order({ to: party.id, do: 'wait' })
    }
    this.#stopped.clear()
    const orders = [...this.#orders.values()]
    this.#orders.clear()
    return orders
  }

  /** Until the head has an answer from upstream there is nothing to be taken, and much to be learnt about who comes. */
  #isKnown(): boolean {
    return this.bytes !== undefined || this.#head === undefined || this.#head.position > 0
  }
}
