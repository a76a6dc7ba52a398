import type { MemberId } from '../../../src/peers/identity/member.ts'
import { DeliveryPlan } from '../../../src/peers/tracker/delivery-plan.ts'
import type { PlanEvent, PlanInstruction } from '../../../src/peers/tracker/tree/plan-events.ts'
import { randomFrom } from '../random.ts'
import { DEFAULT_OVERHEADS, type Kill, type Overheads, type PullSimulation } from './pull-options.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedDownloads } from './simulated-downloads.ts'
import { electOwners, type Layer, layersOf } from './simulated-layers.ts'
import { type MemberTimes, SimulatedMembers } from './simulated-members.ts'
import { NO_SOURCE, UPSTREAM } from './transfers.ts'

const TICK_MS = 250

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
  readonly #random: () => number
  readonly #clock = new SimulatedClock()
  readonly #downloads: SimulatedDownloads
  readonly #layers: readonly Layer[]
  readonly #members: SimulatedMembers
  readonly #joinsAtMs: readonly number[]
  /** For each layer and member, at `layer * members + member`, whether the member wants the layer by now. */
  readonly #hasJoined: Uint8Array
  readonly #isReporting: Uint8Array

  constructor(simulation: PullSimulation) {
    const { members, layers, seed, latencyMs = 0.5 } = simulation
    this.#simulation = simulation
    this.#overheads = { ...DEFAULT_OVERHEADS, ...simulation.overheads }
    this.#latencyMs = latencyMs
    this.#random = randomFrom(seed)
    this.#downloads = new SimulatedDownloads(simulation, latencyMs + this.#overheads.pieceMs)
    this.#members = new SimulatedMembers(members, layers.length)
    this.#hasJoined = new Uint8Array(members * layers.length)
    this.#isReporting = new Uint8Array(members)
    this.#layers = layersOf(layers, seed)
    electOwners(this.#layers, this.#members)
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
    return this.#downloads.upstreamBytes
  }

  get crossedBytes(): number {
    return this.#downloads.crossedBytes
  }

  get perMember(): MemberTimes[] {
    return this.#members.times(this.#joinsAtMs)
  }

  describeIncomplete(): string {
    return `${this.#members.describeIncomplete()} at ${this.nowMs} ms`
  }

  step(): void {
    this.#clock.advanceTo(this.#clock.nowMs + this.#downloads.stepMs)
    for (const { layer, member } of this.#downloads.step(this.#clock.nowMs)) {
      this.#members.noteLayerComplete(member, this.#clock.nowMs)
      this.#report(this.#layers[layer] as Layer, member, { is: 'whole', id: this.#members.id(member) })
    }
  }

  #hasMemberJoined({ index }: Layer, member: number): boolean {
    return this.#hasJoined[index * this.#members.ids.length + member] === 1
  }

  #join(layer: Layer, member: number): void {
    if (!this.#members.isAlive(member)) return
    this.#hasJoined[layer.index * this.#members.ids.length + member] = 1
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
    this.#hasJoined[layer.index * this.#members.ids.length + owner] = 1
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
    const { index } = layer
    return {
      is: 'joined',
      id: this.#members.id(member),
      zone: `z${member % zones}`,
      position: this.#downloads.givableBytes(index, member),
      whole: this.#downloads.isComplete(index, member),
      from: this.#sourceOf(index, member),
      best: this.#simulation.best?.(member),
    }
  }

  #sourceOf(layer: number, member: number): MemberId | 'upstream' | undefined {
    const source = this.#downloads.source(layer, member)
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
    const { index, size } = layer
    const downloads = this.#downloads
    if (!this.#members.isAlive(member) || downloads.isComplete(index, member)) return
    const { connectMs, upstreamMs, silenceMs } = this.#overheads
    if (instruction.do === 'take') {
      const parent = this.#members.index(instruction.from)
      downloads.setSource(index, member, parent, this.#clock.nowMs + connectMs)
      if (this.#members.isAlive(parent)) return
      this.#losesParent(layer, member, parent, this.#isAnyKillSilent ? silenceMs : connectMs)
    } else if (instruction.do === 'fetch' || instruction.do === 'alone') {
      if (downloads.source(index, member) === UPSTREAM) return
      downloads.setSource(index, member, UPSTREAM, this.#clock.nowMs + upstreamMs)
      this.#clock.after(upstreamMs, () => this.#report(layer, member, { is: 'sized', size }))
    } else downloads.setSource(index, member, NO_SOURCE)
  }

  #losesParent(layer: Layer, member: number, parent: number, afterMs: number): void {
    this.#clock.after(afterMs, () => {
      if (this.#downloads.source(layer.index, member) !== parent || !this.#members.isAlive(member)) return
      this.#downloads.setSource(layer.index, member, NO_SOURCE)
      const [id, parentId] = [this.#members.id(member), this.#members.id(parent)]
      this.#report(layer, member, { is: 'lost', id, parent: parentId })
    })
  }

  #startReporting(member: number): void {
    if (this.#isReporting[member] === 1) return
    this.#isReporting[member] = 1
    const { reportMs } = this.#overheads
    let before = this.#downloads.receivedBytes(member)
    const report = (): void => {
      if (!this.#members.isAlive(member)) return
      const received = this.#downloads.receivedBytes(member)
      const receives = ((received - before) * 1000) / reportMs
      before = received
      for (const layer of this.#layers) {
        if (!this.#hasMemberJoined(layer, member)) continue
        const position = this.#downloads.givableBytes(layer.index, member)
        this.#report(layer, member, { is: 'at', id: this.#members.id(member), position, receives })
      }
      this.#clock.after(reportMs, report)
    }
    this.#clock.after(reportMs, report)
  }

  #scheduleTick(): void {
    this.#clock.after(TICK_MS, () => {
      for (const layer of this.#layers) {
        if (layer.plan === undefined || !this.#members.isAlive(layer.owner)) continue
        this.#send(layer, layer.plan.tick())
      }
      this.maxDepth = Math.max(this.maxDepth, this.#downloads.maxDepth())
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
    this.#clock.after(silent ? silenceMs : noticeMs, () => this.#takeOver())
  }

  /** The participants of a dead owner join the next one. */
  #takeOver(): void {
    for (const layer of electOwners(this.#layers, this.#members)) {
      for (const member of this.#members.live) {
        if (this.#hasMemberJoined(layer, member)) this.#join(layer, member)
      }
    }
  }

  /** Ends the connections of a killed member with its children and with the owner, each within `withinMs`. */
  #disconnect(layer: Layer, member: number, withinMs: number): void {
    this.#downloads.setSource(layer.index, member, NO_SOURCE)
    for (const child of this.#downloads.childrenOf(layer.index, member)) {
      this.#downloads.breakOff(layer.index, child)
      this.#losesParent(layer, child, member, withinMs * this.#random())
    }
    if (member === layer.owner) return
    const { term } = layer
    this.#clock.after(withinMs * this.#random(), () => {
      if (term === layer.term) this.#tellPlan(layer, { is: 'left', id: this.#members.id(member) })
    })
  }
}
