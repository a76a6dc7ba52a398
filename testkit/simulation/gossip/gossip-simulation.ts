import type { MemberId } from '../../../src/peers/identity/member.ts'
import { verifySignature } from '../../../src/peers/identity/signed-record.ts'
import { Gossip, TICK_MS } from '../../../src/peers/membership/gossip/gossip.ts'
import { EMPTY_MESSAGE, type GossipMessage } from '../../../src/peers/membership/gossip/gossip-messages.ts'
import { encodeMessage } from '../../../src/peers/membership/gossip/message-format.ts'
import { randomFrom } from '../random.ts'
import { identityNamed, memberOf } from './named-members.ts'

const STEP_MS = 50
const STEPS_PER_TICK = TICK_MS / STEP_MS
/** The length prefix and authentication tag that the encrypted stream adds to each message. */
const FRAME_BYTES = 20
const MAX_DIALED_LINKS = 24
const KEEP_ALIVE_MS = 3000
/** A member gives up its link to one that has vanished within this range. */
const VANISH_NOTICED_MS = { from: 5000, to: 8000 }

export interface SimulatedMember {
  readonly id: MemberId
  readonly gossip: Gossip
  readonly links: Set<SimulatedMember>
  /** The step within a tick at which this member's gossip ticks. */
  readonly tickOffset: number
  isPresent: boolean
  sentBytes: number
}

interface SentMessage {
  readonly to: SimulatedMember
  readonly from: SimulatedMember
  readonly message: GossipMessage
}

/** A swarm in one process and in simulated time: the gossip is the real code, links and time are simulated. */
export class GossipSimulation {
  readonly members: SimulatedMember[] = []
  readonly random: () => number
  nowMs = 1_700_000_000_000
  #isMeasuring = false
  #step = 0
  #sent: SentMessage[] = []
  readonly #timers = new Map<number, (() => void)[]>()

  constructor(seed: number) {
    this.random = randomFrom(seed)
  }

  add(name: string): SimulatedMember {
    const self = memberOf(name, this.nowMs)
    const member: SimulatedMember = {
      id: self.id,
      gossip: new Gossip(self, {
        identity: identityNamed(name),
        now: this.nowMs,
        random: this.random,
        verifies: verifiesOnce,
      }),
      links: new Set(),
      tickOffset: Math.floor(this.random() * STEPS_PER_TICK),
      isPresent: true,
      sentBytes: 0,
    }
    this.members.push(member)
    return member
  }

  get present(): SimulatedMember[] {
    return this.members.filter(({ isPresent }) => isPresent)
  }

  /** Links a member to random other ones, spread over a few seconds as by the discovery of the real code. */
  linkToOthers(member: SimulatedMember): void {
    for (let made = 0; made < MAX_DIALED_LINKS; made += 1) {
      this.after(this.random() * 5000, () => {
        const others = this.present.filter((other) => other !== member)
        const other = others[Math.floor(this.random() * others.length)]
        const mayLink = member.isPresent && member.links.size < MAX_DIALED_LINKS
        if (other !== undefined && mayLink) this.link(member, other)
      })
    }
  }

  link(one: SimulatedMember, two: SimulatedMember): void {
    if (one.links.has(two)) return
    one.links.add(two)
    two.links.add(one)
    one.gossip.link(two.id, this.nowMs)
    two.gossip.link(one.id, this.nowMs)
  }

  unlink(one: SimulatedMember, two: SimulatedMember): void {
    one.links.delete(two)
    two.links.delete(one)
    one.gossip.unlink(two.id, this.nowMs)
    two.gossip.unlink(one.id, this.nowMs)
  }

  /** The member is gone without a goodbye, as when its power fails. */
  vanish(member: SimulatedMember): void {
    const { from, to } = VANISH_NOTICED_MS
    member.isPresent = false
    for (const other of member.links) {
      this.after(from + this.random() * (to - from), () => this.unlink(member, other))
    }
  }

  /** Sends over all links a message that the member's own gossip would not send. */
  broadcast(from: SimulatedMember, message: Partial<GossipMessage>): void {
    for (const to of from.links) this.#send(from, to, { ...EMPTY_MESSAGE, ...message })
  }

  leave(member: SimulatedMember): void {
    for (const other of member.links) this.#send(member, other, member.gossip.goodbye())
    member.isPresent = false
    this.after(STEP_MS * 2, () => {
      for (const other of [...member.links]) this.unlink(member, other)
    })
  }

  after(ms: number, run: () => void): void {
    const at = this.#step + Math.max(1, Math.round(ms / STEP_MS))
    this.#timers.set(at, [...(this.#timers.get(at) ?? []), run])
  }

  run(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) this.#advance()
  }

  /** Runs until `condition` holds. Returns how many milliseconds that took; undefined when it was more than `withinMs`. */
  runUntil(condition: () => boolean, withinMs: number): number | undefined {
    for (const start = this.nowMs; this.nowMs - start <= withinMs; this.run(250)) {
      if (condition()) return this.nowMs - start
    }
    return undefined
  }

  /** Counts, over the member lists of all that are present, the members that are missing and those that are gone. */
  listErrors(): { missing: number; stale: number } {
    const { present } = this
    let [missing, stale] = [0, 0]
    for (const { gossip } of present) {
      const right = present.filter(({ id }) => gossip.members.get(id) !== undefined).length
      missing += present.length - 1 - right
      stale += gossip.members.size - right
    }
    return { missing, stale }
  }

  areListsRight(): boolean {
    const { missing, stale } = this.listErrors()
    return missing === 0 && stale === 0
  }

  /** Runs for `ms`. Returns the most members that were missing in all lists together meanwhile. */
  mostMissing(ms: number): number {
    let missing = 0
    for (let at = 0; at < ms; at += 1000) {
      this.run(1000)
      missing = Math.max(missing, this.listErrors().missing)
    }
    return missing
  }

  /** Bytes per second that each member sends, including what keeps its links alive. */
  measureRates(ms: number): { mean: number; most: number } {
    this.#isMeasuring = true
    for (const member of this.members) member.sentBytes = 0
    this.run(ms)
    this.#isMeasuring = false
    const rates = this.present.map(
      ({ sentBytes, links }) => (sentBytes * 1000) / ms + (links.size * FRAME_BYTES * 1000) / KEEP_ALIVE_MS,
    )
    return {
      mean: Math.round(rates.reduce((sum, rate) => sum + rate, 0) / rates.length),
      most: Math.round(Math.max(...rates)),
    }
  }

  #advance(): void {
    this.#step += 1
    this.nowMs += STEP_MS
    for (const run of this.#timers.get(this.#step) ?? []) run()
    this.#timers.delete(this.#step)
    const arriving = this.#sent
    this.#sent = []
    for (const { from, to, message } of arriving) {
      if (!to.isPresent || !to.links.has(from)) continue
      if (!to.gossip.receive(from.id, message, this.nowMs)) this.unlink(to, from)
    }
    for (const member of this.members) {
      if (!member.isPresent) continue
      if ((this.#step + member.tickOffset) % STEPS_PER_TICK === 0) member.gossip.tick(this.nowMs)
      for (const { to, message } of member.gossip.takeOutgoing()) {
        for (const other of member.links) if (other.id === to) this.#send(member, other, message)
      }
    }
  }

  #send(from: SimulatedMember, to: SimulatedMember, message: GossipMessage): void {
    if (this.#isMeasuring) from.sentBytes += encodeMessage(message).length + FRAME_BYTES
    this.#sent.push({ from, to, message })
  }
}

/** A swarm whose members all start within two seconds, each with links to random others. */
export function startSwarm(members: number, seed: number): GossipSimulation {
  const swarm = new GossipSimulation(seed)
  for (let at = 0; at < members; at += 1) {
    swarm.after(swarm.random() * 2000, () => swarm.linkToOthers(swarm.add(`node-${at}`)))
  }
  return swarm
}

/** All members receive the same signatures, and checking each of them once makes a simulation many times faster. */
const verified = new Map<string, boolean>()

function verifiesOnce(key: string, text: string, signature: string): boolean {
  const name = `${key} ${signature} ${text}`
  const known = verified.get(name) ?? verifySignature(key, text, signature)
  verified.set(name, known)
  return known
}
