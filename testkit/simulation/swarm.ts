import { createHash } from 'node:crypto'
import type { MemberId } from '../../src/peers/identity/member.ts'
import { Ranks } from '../../src/peers/membership/owner.ts'
import { Gathering } from '../../src/peers/tracker/delivery-plan.ts'
import type { Event, Order } from '../../src/peers/tracker/tree/plan-events.ts'
import { Clock } from './clock.ts'
import {
  type Kill,
  type MemberTime,
  memberNamed,
  OVERHEADS,
  type Overheads,
  type Simulation,
} from './simulate.ts'
import { NOBODY, UPSTREAM, Wires } from './wires.ts'

const TICK_MS = 250

/** One gathering at the owner of a layer, and what was told of that layer. */
interface Layer {
  readonly at: number
  readonly digest: string
  readonly size: number
  owner: number
  gathering: Gathering | undefined
  isTakeover: boolean
  /** Each new owner is another term: messages of an old one are void. */
  term: number
}

/** The members: they join, obey, report, die; all messages take their time. */
export class Swarm {
  readonly #simulation: Simulation
  readonly #overheads: Overheads
  readonly #latencyMs: number
  readonly #clock = new Clock()
  readonly #wires: Wires
  readonly #layers: readonly Layer[]
  readonly #ids: readonly MemberId[]
  readonly #index: ReadonlyMap<MemberId, number>
  readonly #isAlive: Uint8Array
  readonly #isHere: Uint8Array
  readonly #isReporting: Uint8Array
  readonly #joinsAt: readonly number[]
  readonly #doneAt: (number | undefined)[]
  readonly #missing: Int32Array
  readonly #stepMs: number
  readonly #random: () => number
  readonly #positionBefore: Float64Array
  readonly lastJoinMs: number
  #left: number
  orders = 0
  sent = 0
  events = 0
  crossed = 0
  depth = 0

  constructor(simulation: Simulation) {
    const { members, layers, pieceBytes = 65_536, linkBytesPerSecond, seed, latencyMs = 0.5 } = simulation
    this.#simulation = simulation
    this.#overheads = { ...OVERHEADS, ...simulation.overheads }
    this.#latencyMs = latencyMs
    this.#random = randomOf(seed)
    this.#stepMs = Math.min(20, Math.max(0.5, (500 * pieceBytes) / linkBytesPerSecond))
    const links = Float64Array.from(
      { length: members },
      (_, at) => linkBytesPerSecond * (simulation.speed?.(at) ?? 1),
    )
    this.#wires = new Wires({
      members,
      layers,
      pieceBytes,
      links,
      upstreamBytesPerSecond: simulation.upstreamBytesPerSecond,
      stepMs: this.#stepMs,
      latencyMs: latencyMs + this.#overheads.pieceMs,
    })
    this.#ids = Array.from({ length: members }, (_, at) => memberNamed(at))
    this.#index = new Map(this.#ids.map((id, at) => [id, at]))
    this.#isAlive = new Uint8Array(members).fill(1)
    this.#isHere = new Uint8Array(members * layers.length)
    this.#isReporting = new Uint8Array(members)
    this.#doneAt = Array.from({ length: members })
    this.#missing = new Int32Array(members).fill(layers.length)
    this.#positionBefore = new Float64Array(members * layers.length)
    this.#left = members
    this.#layers = layers.map((size, at) => ({
      at,
      digest: `sha256:${createHash('sha256').update(`${seed} ${at}`).digest('hex')}`,
      size,
      owner: NOBODY,
      gathering: undefined,
      isTakeover: false,
      term: 0,
    }))
    this.#elect()
    const { joinsAtMs = () => this.#random() * 50 } = simulation
    this.#joinsAt = this.#ids.map((_, at) => joinsAtMs(at))
    this.lastJoinMs = Math.max(...this.#joinsAt)
    for (const [member, ms] of this.#joinsAt.entries()) {
      this.#clock.after(ms, () => {
        for (const layer of this.#layers) this.#join(layer, member)
        this.#report(member)
      })
    }
    for (const kill of simulation.kills ?? []) this.#clock.after(kill.atMs, () => this.#kill(kill))
    this.#tickLater()
  }

  get now(): number {
    return this.#clock.now
  }

  get isDone(): boolean {
    return this.#left === 0
  }

  get brought(): number {
    return this.#wires.brought
  }

  get perMember(): MemberTime[] {
    return this.#joinsAt.map((joinedMs, at) => ({ joinedMs, doneMs: this.#doneAt[at] }))
  }

  told(): string {
    const missing = this.#ids.filter((_, at) => this.#isAlive[at] === 1 && (this.#missing[at] as number) > 0)
    return `${missing.length} of ${this.#ids.length} at ${this.now} ms`
  }

  step(): void {
    const { members } = this.#simulation
    this.#clock.pass(this.#clock.now + this.#stepMs)
    for (const flow of this.#wires.step(this.#clock.now)) {
      const [layer, member] = [this.#layers[Math.floor(flow / members)] as Layer, flow % members]
      this.#count(flow, layer)
      this.#wires.source[flow] = NOBODY
      this.#missing[member] = (this.#missing[member] as number) - 1
      if (this.#missing[member] === 0) {
        this.#doneAt[member] = this.#clock.now
        this.#left -= 1
      }
      this.#send(layer, member, { is: 'whole', id: this.#ids[member] as MemberId })
    }
  }

  /** The first live member by rank is the owner of each layer; who was with a dead one turns to its heir. */
  #elect(): void {
    const ranks = new Ranks(this.#ids.filter((_, at) => this.#isAlive[at] === 1))
    for (const layer of this.#layers) {
      const owner = this.#index.get(ranks.owner(layer.digest) as MemberId) as number
      if (owner === layer.owner) continue
      layer.isTakeover = layer.owner !== NOBODY
      layer.owner = owner
      layer.gathering = undefined
      layer.term += 1
      if (!layer.isTakeover) continue
      const base = layer.at * this.#ids.length
      for (let member = 0; member < this.#ids.length; member += 1) {
        if (this.#isHere[base + member] === 1 && this.#isAlive[member] === 1) this.#join(layer, member)
      }
    }
  }

  #join(layer: Layer, member: number): void {
    if (this.#isAlive[member] !== 1) return
    const flow = layer.at * this.#ids.length + member
    this.#isHere[flow] = 1
    const { term } = layer
    this.#clock.after(this.#latencyMs + this.#overheads.connectMs * this.#random(), () => {
      if (term !== layer.term || this.#isAlive[member] !== 1) return
      if (layer.gathering === undefined) this.#begin(layer)
      if (member !== layer.owner) this.#tell(layer, this.#joined(layer, member))
    })
  }

  /** The owner itself is the first in its gathering. */
  #begin(layer: Layer): void {
    const { owner, digest, isTakeover } = layer
    this.#isHere[layer.at * this.#ids.length + owner] = 1
    layer.gathering = new Gathering({
      digest,
      self: this.#ids[owner] as MemberId,
      ...(isTakeover ? { size: layer.size } : {}),
      takeover: isTakeover,
      now: () => this.#clock.now,
    })
    this.#report(owner)
    this.#tell(layer, this.#joined(layer, owner))
  }

  #joined(layer: Layer, member: number): Event {
    const { zones = 1 } = this.#simulation
    const flow = layer.at * this.#ids.length + member
    const source = this.#wires.source[flow] as number
    return {
      is: 'joined',
      id: this.#ids[member] as MemberId,
      zone: `z${member % zones}`,
      position: this.#wires.given(flow),
      whole: this.#wires.position[flow] === layer.size,
      from:
        source === UPSTREAM ? 'upstream' : source === NOBODY ? undefined : (this.#ids[source] as MemberId),
      best: this.#simulation.best?.(member),
    }
  }

  /** From a member to the owner. */
  #send(layer: Layer, member: number, event: Event): void {
    const { term } = layer
    this.#clock.after(member === layer.owner ? 0 : this.#latencyMs, () => {
      if (term === layer.term) this.#tell(layer, event)
    })
  }

  #tell(layer: Layer, event: Event): void {
    if (layer.gathering === undefined || this.#isAlive[layer.owner] !== 1) return
    this.events += 1
    this.#pass(layer, layer.gathering.on(event))
  }

  #pass(layer: Layer, orders: readonly Order[]): void {
    this.orders += orders.length
    const { term } = layer
    for (const order of orders) {
      if (order.do === 'fetch') this.sent += 1
      const member = this.#index.get(order.to) as number
      this.#clock.after(member === layer.owner ? 0 : this.#latencyMs, () => {
        if (term === layer.term) this.#obey(layer, member, order)
      })
    }
  }

  #obey(layer: Layer, member: number, order: Order): void {
    const flow = layer.at * this.#ids.length + member
    if (this.#isAlive[member] !== 1 || this.#wires.position[flow] === layer.size) return
    const { connectMs, upstreamMs, silenceMs } = this.#overheads
    this.#count(flow, layer)
    if (order.do === 'take') {
      const parent = this.#index.get(order.from) as number
      this.#wires.source[flow] = parent
      this.#wires.openAt[flow] = this.#clock.now + connectMs
      if (this.#isAlive[parent] !== 1)
        this.#lose(layer, member, parent, this.#isSilent ? silenceMs : connectMs)
    } else if (order.do === 'fetch' || order.do === 'alone') {
      if (this.#wires.source[flow] === UPSTREAM) return
      this.#wires.source[flow] = UPSTREAM
      this.#wires.openAt[flow] = this.#clock.now + upstreamMs
      this.#clock.after(upstreamMs, () => this.#send(layer, member, { is: 'sized', size: layer.size }))
    } else this.#wires.source[flow] = NOBODY
  }

  /** Adds what a flow has brought over the border of a zone, before it gets another source, or at its end. */
  #count(flow: number, layer: Layer): void {
    const { zones = 1 } = this.#simulation
    const source = this.#wires.source[flow] as number
    const position = this.#wires.position[flow] as number
    const bytes = position - (this.#positionBefore[flow] as number)
    this.#positionBefore[flow] = position
    const member = flow - layer.at * this.#ids.length
    if (source >= 0 && source % zones !== member % zones) this.crossed += bytes
  }

  #lose(layer: Layer, member: number, parent: number, ms: number): void {
    const flow = layer.at * this.#ids.length + member
    this.#clock.after(ms, () => {
      if (this.#wires.source[flow] !== parent || this.#isAlive[member] !== 1) return
      this.#count(flow, layer)
      this.#wires.source[flow] = NOBODY
      this.#send(layer, member, {
        is: 'lost',
        id: this.#ids[member] as MemberId,
        parent: this.#ids[parent] as MemberId,
      })
    })
  }

  /** From now on. */
  #report(member: number): void {
    if (this.#isReporting[member] === 1) return
    this.#isReporting[member] = 1
    let before = this.#received(member)
    const say = (): void => {
      if (this.#isAlive[member] !== 1) return
      const received = this.#received(member)
      const receives = ((received - before) * 1000) / this.#overheads.reportMs
      before = received
      for (const layer of this.#layers) this.#say(layer, member, receives)
      this.#clock.after(this.#overheads.reportMs, say)
    }
    this.#clock.after(this.#overheads.reportMs, say)
  }

  #received(member: number): number {
    const flows = this.#layers.map(({ at }) => at * this.#ids.length + member)
    return flows.reduce((sum, flow) => sum + (this.#wires.position[flow] as number), 0)
  }

  #say(layer: Layer, member: number, receives: number): void {
    const flow = layer.at * this.#ids.length + member
    if (this.#isHere[flow] !== 1) return
    this.#count(flow, layer)
    const position = this.#wires.given(flow)
    this.#send(layer, member, { is: 'at', id: this.#ids[member] as MemberId, position, receives })
  }

  #tickLater(): void {
    this.#clock.after(TICK_MS, () => {
      for (const layer of this.#layers) {
        if (layer.gathering !== undefined && this.#isAlive[layer.owner] === 1)
          this.#pass(layer, layer.gathering.tick())
      }
      this.#measureDepth()
      this.#tickLater()
    })
  }

  #measureDepth(): void {
    const members = this.#ids.length
    for (const { at: layer } of this.#layers) {
      const depths = new Int32Array(members).fill(-1)
      const depthOf = (member: number): number => {
        const way: number[] = []
        let at = member
        while (
          (this.#wires.source[layer * members + at] as number) >= 0 &&
          depths[at] === -1 &&
          way.length < members
        ) {
          way.push(at)
          at = this.#wires.source[layer * members + at] as number
        }
        let depth = Math.max(0, depths[at] as number)
        depths[at] = depth
        for (const one of way.reverse()) {
          depth += 1
          depths[one] = depth
        }
        return depth
      }
      for (let member = 0; member < members; member += 1) this.depth = Math.max(this.depth, depthOf(member))
    }
  }

  get #isSilent(): boolean {
    return this.#simulation.kills?.some(({ silent }) => silent) === true
  }

  #kill({ share, owners = 0, silent = false }: Kill): void {
    const { noticeMs, silenceMs } = this.#overheads
    const living = this.#ids.map((_, at) => at).filter((at) => this.#isAlive[at] === 1)
    const first = new Set(this.#layers.slice(0, owners).map(({ owner }) => owner))
    const drawn = living.map((at) => ({ at, draw: first.has(at) ? -1 : this.#random() }))
    drawn.sort((one, other) => one.draw - other.draw)
    const dead = drawn.slice(0, Math.round(share * living.length)).map(({ at }) => at)
    for (const member of dead) {
      this.#isAlive[member] = 0
      if (this.#doneAt[member] === undefined) this.#left -= 1
      this.#doneAt[member] = undefined
      for (const layer of this.#layers) this.#sever(layer, member, silent ? silenceMs : noticeMs)
    }
    this.#clock.after(silent ? silenceMs : noticeMs, () => this.#elect())
  }

  /** Its connections end: those of its children, and that to the owner. */
  #sever(layer: Layer, member: number, ms: number): void {
    const base = layer.at * this.#ids.length
    this.#wires.source[base + member] = NOBODY
    for (let child = 0; child < this.#ids.length; child += 1) {
      if (this.#wires.source[base + child] !== member) continue
      this.#wires.openAt[base + child] = Number.POSITIVE_INFINITY
      this.#lose(layer, child, member, ms * this.#random())
    }
    if (member === layer.owner) return
    const { term } = layer
    this.#clock.after(ms * this.#random(), () => {
      if (term === layer.term) this.#tell(layer, { is: 'left', id: this.#ids[member] as MemberId })
    })
  }
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
