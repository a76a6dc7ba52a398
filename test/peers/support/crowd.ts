import assert from 'node:assert/strict'
import type { MemberId } from '../../../src/peers/identity/member.ts'
import { Gathering } from '../../../src/peers/tracker/delivery-plan.ts'
import type { Excused } from '../../../src/peers/tracker/stragglers/excused.ts'
import type { Event, Order } from '../../../src/peers/tracker/tree/plan-events.ts'

export const PIECE = 65_536
const TICK_MS = 250

interface Model {
  readonly id: MemberId
  readonly zone: string | undefined
  position: number
  doing: Order | undefined
  isWhole: boolean
  /** Serves nobody, though it is there. */
  isBroken: boolean
  /** Brings it from upstream by another owner's order. */
  isLeftOver: boolean
  /** In a quarter of a second it takes no more pieces. */
  most: number
  /** Nor gives it more to each. */
  gives: number
  /** Nor brings it more from upstream. */
  brings: number
}

/** A gathering and, in memory, the members that do what it says: parents deliver, time passes by hand. */
export class Crowd {
  readonly gathering: Gathering
  readonly members = new Map<MemberId, Model>()
  readonly blamed = new Set<string>()
  readonly ended = new Set<MemberId>()
  /** All orders so far. */
  readonly orders: Order[] = []
  readonly size: number
  /** Upstream serves nobody. */
  isUpstreamDown = false
  /** Bytes that came from there. */
  brought = 0
  now = 1000

  constructor(
    options: {
      size?: number
      sized?: boolean
      takeover?: boolean
      self?: string
      excused?: Excused
    } = {},
  ) {
    const { size = 64 * PIECE, sized = true, takeover = false, self = '0', excused } = options
    this.size = size
    this.gathering = new Gathering({
      digest: 'sha256:1',
      self: named(self),
      ...(sized ? { size } : {}),
      takeover,
      excused,
      now: () => this.now,
    })
  }

  join(
    name: string,
    options: {
      position?: number
      whole?: boolean
      zone?: string
      from?: MemberId | 'upstream'
      best?: number
      hasFailed?: boolean
    } = {},
  ): Order[] {
    const id = named(name)
    const { position = 0, whole = false, zone, from, best, hasFailed } = options
    const doing: Order | undefined =
      from === undefined
        ? undefined
        : from === 'upstream'
          ? { to: id, do: 'fetch' }
          : { to: id, do: 'take', from }
    this.members.set(id, {
      id,
      zone,
      position: whole ? this.size : position,
      doing,
      isWhole: whole,
      isBroken: false,
      isLeftOver: from === 'upstream',
      most: Number.POSITIVE_INFINITY,
      gives: Number.POSITIVE_INFINITY,
      brings: Number.POSITIVE_INFINITY,
    })
    this.ended.delete(id)
    return this.tell({ is: 'joined', id, zone, position, whole, from, best, hasFailed })
  }

  leave(name: string): Order[] {
    this.members.delete(named(name))
    return this.tell({ is: 'left', id: named(name) })
  }

  tell(event: Event): Order[] {
    const isHeard = 'id' in event && this.gathering.has(event.id)
    if (event.is === 'blamed' && isHeard && this.gathering.has(event.parent))
      this.blamed.add(`${event.id} ${event.parent}`)
    return this.#obey(this.gathering.on(event))
  }

  tick(ms = TICK_MS): Order[] {
    this.now += ms
    return this.#obey(this.gathering.tick())
  }

  /** A quarter of a second in which everyone does what it was told, and says so. */
  live(pieces = 8): void {
    const before = new Map([...this.members.values()].map((member) => [member.id, member.position]))
    for (const member of [...this.members.values()]) {
      const { doing, id } = member
      if (!this.members.has(id) || member.isWhole) continue
      const enough = member.position + Math.min(pieces, member.most) * PIECE
      if (doing?.do === 'fetch' || doing?.do === 'alone') {
        if (this.isUpstreamDown) {
          this.tell({ is: 'failed', id })
          continue
        }
        const brought = Math.min(enough, member.position + member.brings * PIECE)
        this.brought += Math.min(this.size, brought) - member.position
        member.position = Math.min(this.size, brought)
      } else if (doing?.do === 'take') {
        const parent = this.members.get(doing.from)
        if (parent === undefined || parent.isBroken) {
          this.tell({ is: 'lost', id, parent: doing.from })
          continue
        }
        const there = before.get(parent.id) ?? 0
        const given = Math.min(enough, member.position + parent.gives * PIECE)
        member.position = Math.max(member.position, Math.min(this.size, given, there))
      }
      if (member.position === this.size) {
        member.isWhole = true
        this.tell({ is: 'whole', id })
      } else this.tell({ is: 'at', id, position: member.position })
    }
    for (const { id, position, isWhole } of this.members.values()) {
      if (isWhole) this.tell({ is: 'at', id, position })
    }
    this.tick()
  }

  /** Until all have it; how many quarters of a second it took. */
  untilWhole(most = 4000): number {
    for (let rounds = 0; rounds < most; rounds += 1) {
      const left = [...this.members.values()].filter(({ isWhole, id }) => !isWhole && !this.ended.has(id))
      if (left.length === 0) return rounds
      this.live()
    }
    const told = [...this.members.values()].map(
      ({ id, position, doing }) => `${id}@${position}:${doing?.do}${doing?.do === 'take' ? doing.from : ''}`,
    )
    throw new Error(`not all became whole: ${told.join(' ')}`)
  }

  #obey(orders: Order[]): Order[] {
    const told = new Set<MemberId>()
    for (const order of orders) {
      assert.ok(!told.has(order.to), 'two orders to one member at once')
      told.add(order.to)
      const member = this.members.get(order.to)
      assert.ok(member !== undefined, `an order to ${order.to}, who has left`)
      member.doing = order
      member.isLeftOver = false
      if (order.do === 'end') this.ended.add(order.to)
      if (order.do === 'take') {
        assert.ok(this.gathering.has(order.from), 'from one who has left')
        assert.ok(!this.blamed.has(`${order.to} ${order.from}`), 'from one whom it has blamed')
        assert.equal(this.gathering.parentOf(order.to), order.from)
      }
    }
    this.orders.push(...orders)
    if (orders.length > 0) this.#check()
    return orders
  }

  #check(): void {
    const heads = [...this.members.values()].filter(
      ({ doing, isWhole, isLeftOver }) => doing?.do === 'fetch' && !isWhole && !isLeftOver,
    )
    assert.ok(heads.length <= 1, `heads: ${heads.map(({ id }) => id).join(' ')}`)
    assert.ok(
      [...this.members.values()].filter(({ doing }) => doing?.do === 'alone').length <= 2,
      'more than two alone',
    )
    for (const { id } of this.members.values()) {
      const seen = new Set<MemberId>()
      for (let at: MemberId | undefined = id; at !== undefined; at = this.gathering.parentOf(at)) {
        assert.ok(!seen.has(at), `${id} follows itself`)
        seen.add(at)
      }
    }
  }
}

export function named(name: string): MemberId {
  return name as MemberId
}
