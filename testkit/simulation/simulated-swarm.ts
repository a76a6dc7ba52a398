import { createHash } from 'node:crypto'
import type { MemberId } from '../../src/peers/identity/member.ts'
import { OwnerRanking } from '../../src/peers/membership/owner-ranking.ts'
import { DeliveryPlan } from '../../src/peers/tracker/delivery-plan.ts'
import type { PlanEvent, PlanInstruction } from '../../src/peers/tracker/tree/plan-events.ts'
import { maxDepth } from './max-depth.ts'
import {
  DEFAULT_OVERHEADS,
  DEFAULT_PIECE_BYTES,
  type Kill,
  type Overheads,
  type PullSimulation,
} from './pull-options.ts'
import { randomFrom } from './random.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { type MemberTimes, SimulatedMembers } from './simulated-members.ts'
import { NO_SOURCE, Transfers, UPSTREAM } from './transfers.ts'
import { ZoneCrossings } from './zone-crossings.ts'

const TICK_MS = 250

/** A layer, and the delivery plan of its present owner. */
interface Layer {
  readonly index: number
  readonly digest: string
  readonly size: number
  owner: number
  plan: DeliveryPlan | undefined
  isTakeover: boolean
  /** Goes up with each new owner, so that messages to or from a former owner can be ignored. */
  term: number
}

/** Members that join, follow instructions, report and die. Each message takes its time, and each byte takes its link. */
export class SimulatedSwarm {
  readonly lastJoinMs: number
  instructions = 0
  fetchInstructions = 0
  events = 0
  maxDepth = 0
  readonly #simulation: PullSimulation
  readonly #overheads: Overheads
  readonly #latencyMs: number
  readonly #stepMs: number
  readonly #random: () => number
  readonly #clock = new SimulatedClock()
  readonly #transfers: Transfers
  readonly #crossings: ZoneCrossings
  readonly #layers: readonly Layer[]
  readonly #members: SimulatedMembers
  readonly #joinsAtMs: readonly number[]
  /** For each transfer, whether the member wants the layer by now. */
  readonly #hasJoined: Uint8Array
  readonly #isReporting: Uint8Array

  constructor(simulation: PullSimulation) {
    const { members, layers, linkBytesPerSecond, seed, latencyMs = 0.5, zones = 1 } = simulation
    const { pieceBytes = DEFAULT_PIECE_BYTES, upstreamBytesPerSecond } = simulation
    this.#simulation = simulation
    this.#overheads = { ...DEFAULT_OVERHEADS, ...simulation.overheads }
    this.#latencyMs = latencyMs
    this.#random = randomFrom(seed)
    // Half of the time in which a link carries a piece, so that a step of a chain takes about as long as in reality.
    this.#stepMs = Math.min(20, Math.max(0.5, (500 * pieceBytes) / linkBytesPerSecond))
    this.#transfers = new Transfers({
      members,
      layers,
      pieceBytes,
      links: Float64Array.from(
        { length: members },
        (_, at) => linkBytesPerSecond * (simulation.speed?.(at) ?? 1),
      ),
      upstreamBytesPerSecond,
      stepMs: this.#stepMs,
      latencyMs: latencyMs + this.#overheads.pieceMs,
    })
    this.#crossings = new ZoneCrossings(this.#transfers, { members, zones })
    this.#members = new SimulatedMembers(members, layers.length)
    this.#hasJoined = new Uint8Array(members * layers.length)
    this.#isReporting = new Uint8Array(members)
    this.#layers = layers.map((size, index) => ({
      index,
      digest: `sha256:${createHash('sha256').update(`${seed} ${index}`).digest('hex')}`,
      size,
      owner: NO_SOURCE,
      plan: undefined,
      isTakeover: false,
      term: 0,
    }))
    this.#electOwners()
    const { joinsAtMs = () => this.#random() * 50 } = simulation
    this.#joinsAtMs = this.#members.ids.map((_, member) => joinsAtMs(member))
    this.lastJoinMs = Math.max(...this.#joinsAtMs)
    for (const [member, ms] of this.#joinsAtMs.entries()) {
      this.#clock.after(ms, () => {
        for (const layer of this.#layers) this.#join(layer, member)
        this.#startReporting(member)
      })
    }
    for (const kill of simulation.kills ?? []) this.#clock.after(kill.atMs, () => this.#kill(kill))
    this.#scheduleTick()
  }

  get nowMs(): number {
    return this.#clock.nowMs
  }

  get isDone(): boolean {
    return this.#members.areAllDone
  }

  get upstreamBytes(): number {
    return this.#transfers.upstreamBytes
  }

  get crossedBytes(): number {
    return this.#crossings.bytes
  }

  get perMember(): MemberTimes[] {
    return this.#members.times(this.#joinsAtMs)
  }

  describeIncomplete(): string {
    return `${this.#members.describeIncomplete()} at ${this.nowMs} ms`
  }

  step(): void {
    const { members } = this.#simulation
    this.#clock.advanceTo(this.#clock.nowMs + this.#stepMs)
    for (const transfer of this.#transfers.step(this.#clock.nowMs)) {
      const layer = this.#layers[Math.floor(transfer / members)] as Layer
      const member = transfer % members
      this.#setSource(transfer, NO_SOURCE)
      this.#members.noteLayerComplete(member, this.#clock.nowMs)
      this.#report(layer, member, { is: 'whole', id: this.#members.id(member) })
    }
  }

  /** The first live member in rank owns a layer. The participants of a dead owner join the next one. */
  #electOwners(): void {
    const ranking = new OwnerRanking(this.#members.live.map((member) => this.#members.id(member)))
    for (const layer of this.#layers) {
      const owner = this.#members.index(ranking.owner(layer.digest) as MemberId)
      if (owner === layer.owner) continue
      layer.isTakeover = layer.owner !== NO_SOURCE
      layer.owner = owner
      layer.plan = undefined
      layer.term += 1
      if (!layer.isTakeover) continue
      for (const member of this.#members.live) {
        if (this.#hasJoined[this.#transferOf(layer, member)] === 1) this.#join(layer, member)
      }
    }
  }

  #join(layer: Layer, member: number): void {
    if (!this.#members.isAlive(member)) return
    this.#hasJoined[this.#transferOf(layer, member)] = 1
    const { term } = layer
    this.#clock.after(this.#latencyMs + this.#overheads.connectMs * this.#random(), () => {
      if (term !== layer.term || !this.#members.isAlive(member)) return
      if (layer.plan === undefined) this.#startPlan(layer)
      if (member !== layer.owner) this.#tellPlan(layer, this.#joinEvent(layer, member))
    })
  }

  /** The owner is the first participant of its plan. */
  #startPlan(layer: Layer): void {
    const { owner, digest, isTakeover } = layer
    this.#hasJoined[this.#transferOf(layer, owner)] = 1
    layer.plan = new DeliveryPlan({
      digest,
      ...(isTakeover ? { size: layer.size } : {}),
      isTakeover,
      now: () => this.#clock.nowMs,
    })
    this.#startReporting(owner)
    this.#tellPlan(layer, this.#joinEvent(layer, owner))
  }

  #joinEvent(layer: Layer, member: number): PlanEvent {
    const { zones = 1 } = this.#simulation
    const transfer = this.#transferOf(layer, member)
    return {
      is: 'joined',
      id: this.#members.id(member),
      zone: `z${member % zones}`,
      position: this.#transfers.givable(transfer),
      whole: this.#transfers.position[transfer] === layer.size,
      from: this.#sourceOf(transfer),
      best: this.#simulation.best?.(member),
    }
  }

  #sourceOf(transfer: number): MemberId | 'upstream' | undefined {
    const source = this.#transfers.source[transfer] as number
    if (source === UPSTREAM) return 'upstream'
    return source === NO_SOURCE ? undefined : this.#members.id(source)
  }

  /** From a member to the owner. */
  #report(layer: Layer, member: number, event: PlanEvent): void {
    const { term } = layer
    this.#clock.after(member === layer.owner ? 0 : this.#latencyMs, () => {
      if (term === layer.term) this.#tellPlan(layer, event)
    })
  }

  #tellPlan(layer: Layer, event: PlanEvent): void {
    if (layer.plan === undefined || !this.#members.isAlive(layer.owner)) return
    this.events += 1
    this.#send(layer, layer.plan.handle(event))
  }

  /** From the owner to members. */
  #send(layer: Layer, instructions: readonly PlanInstruction[]): void {
    this.instructions += instructions.length
    const { term } = layer
    for (const instruction of instructions) {
      if (instruction.do === 'fetch') this.fetchInstructions += 1
      const member = this.#members.index(instruction.to)
      this.#clock.after(member === layer.owner ? 0 : this.#latencyMs, () => {
        if (term === layer.term) this.#follow(layer, member, instruction)
      })
    }
  }

  #follow(layer: Layer, member: number, instruction: PlanInstruction): void {
    const transfer = this.#transferOf(layer, member)
    if (!this.#members.isAlive(member) || this.#transfers.position[transfer] === layer.size) return
    const { connectMs, upstreamMs, silenceMs } = this.#overheads
    if (instruction.do === 'take') {
      const parent = this.#members.index(instruction.from)
      this.#setSource(transfer, parent, this.#clock.nowMs + connectMs)
      if (this.#members.isAlive(parent)) return
      this.#losesParent(layer, member, parent, this.#isAnyKillSilent ? silenceMs : connectMs)
    } else if (instruction.do === 'fetch' || instruction.do === 'alone') {
      if (this.#transfers.source[transfer] === UPSTREAM) return
      this.#setSource(transfer, UPSTREAM, this.#clock.nowMs + upstreamMs)
      this.#clock.after(upstreamMs, () => this.#report(layer, member, { is: 'sized', size: layer.size }))
    } else this.#setSource(transfer, NO_SOURCE)
  }

  #setSource(transfer: number, source: number, opensAtMs?: number): void {
    this.#crossings.count(transfer)
    this.#transfers.source[transfer] = source
    if (opensAtMs !== undefined) this.#transfers.opensAtMs[transfer] = opensAtMs
  }

  #losesParent(layer: Layer, member: number, parent: number, afterMs: number): void {
    const transfer = this.#transferOf(layer, member)
    this.#clock.after(afterMs, () => {
      if (this.#transfers.source[transfer] !== parent || !this.#members.isAlive(member)) return
      this.#setSource(transfer, NO_SOURCE)
      const [id, parentId] = [this.#members.id(member), this.#members.id(parent)]
      this.#report(layer, member, { is: 'lost', id, parent: parentId })
    })
  }

  #startReporting(member: number): void {
    if (this.#isReporting[member] === 1) return
    this.#isReporting[member] = 1
    const { reportMs } = this.#overheads
    let before = this.#receivedBytes(member)
    const report = (): void => {
      if (!this.#members.isAlive(member)) return
      const received = this.#receivedBytes(member)
      const receives = ((received - before) * 1000) / reportMs
      before = received
      for (const layer of this.#layers) {
        const transfer = this.#transferOf(layer, member)
        if (this.#hasJoined[transfer] !== 1) continue
        const position = this.#transfers.givable(transfer)
        this.#report(layer, member, { is: 'at', id: this.#members.id(member), position, receives })
      }
      this.#clock.after(reportMs, report)
    }
    this.#clock.after(reportMs, report)
  }

  #receivedBytes(member: number): number {
    return this.#layers.reduce(
      (sum, layer) => sum + (this.#transfers.position[this.#transferOf(layer, member)] as number),
      0,
    )
  }

  #scheduleTick(): void {
    this.#clock.after(TICK_MS, () => {
      for (const layer of this.#layers) {
        if (layer.plan === undefined || !this.#members.isAlive(layer.owner)) continue
        this.#send(layer, layer.plan.tick())
      }
      for (const { index } of this.#layers) {
        const { members } = this.#simulation
        const sources = this.#transfers.source.subarray(index * members, (index + 1) * members)
        this.maxDepth = Math.max(this.maxDepth, maxDepth(sources))
      }
      this.#scheduleTick()
    })
  }

  get #isAnyKillSilent(): boolean {
    return this.#simulation.kills?.some(({ silent }) => silent) === true
  }

  #kill({ share, owners = 0, silent = false }: Kill): void {
    const { noticeMs, silenceMs } = this.#overheads
    const { live } = this.#members
    const chosenOwners = new Set(this.#layers.slice(0, owners).map(({ owner }) => owner))
    const drawn = live.map((member) => ({
      member,
      draw: chosenOwners.has(member) ? -1 : this.#random(),
    }))
    drawn.sort((one, other) => one.draw - other.draw)
    for (const { member } of drawn.slice(0, Math.round(share * live.length))) {
      this.#members.kill(member)
      for (const layer of this.#layers) this.#disconnect(layer, member, silent ? silenceMs : noticeMs)
    }
    this.#clock.after(silent ? silenceMs : noticeMs, () => this.#electOwners())
  }

  /** Ends the connections of a killed member with its children and with the owner, each within `withinMs`. */
  #disconnect(layer: Layer, member: number, withinMs: number): void {
    this.#transfers.source[this.#transferOf(layer, member)] = NO_SOURCE
    for (const child of this.#members.ids.keys()) {
      const transfer = this.#transferOf(layer, child)
      if (this.#transfers.source[transfer] !== member) continue
      this.#transfers.opensAtMs[transfer] = Number.POSITIVE_INFINITY
      this.#losesParent(layer, child, member, withinMs * this.#random())
    }
    if (member === layer.owner) return
    const { term } = layer
    this.#clock.after(withinMs * this.#random(), () => {
      if (term === layer.term) this.#tellPlan(layer, { is: 'left', id: this.#members.id(member) })
    })
  }

  #transferOf(layer: Layer, member: number): number {
    return layer.index * this.#members.ids.length + member
  }
}
