import { createHash } from 'node:crypto'
import { type Identity, identityOf } from '../../src/peers/identity/identity.ts'
import type { Member, MemberId } from '../../src/peers/identity/member.ts'
import { Hand, signOf, verifies } from '../../src/peers/identity/signed-record.ts'
import { Gossip, TICK_MS } from '../../src/peers/membership/gossip.ts'
import {
  type Account,
  encodeMessage,
  type Message,
  NOTHING,
} from '../../src/peers/membership/gossip-messages.ts'

/** A swarm of many in one process, in a time of its own: only what is said over links is real. */

const STEP_MS = 50
const STEPS_PER_TICK = TICK_MS / STEP_MS
/** What a message takes on its way besides its text. */
const FRAME_BYTES = 20
const LINKS_TO_MAKE = 24
const KEEP_ALIVE_MS = 3000
/** A link to one that is silent is given up in this time. */
const NOTICED_MS = { from: 5000, to: 8000 }

export interface Node {
  readonly id: MemberId
  readonly gossip: Gossip
  readonly links: Set<Node>
  readonly phase: number
  isThere: boolean
  sentBytes: number
}

export class Simulation {
  readonly nodes: Node[] = []
  readonly random: () => number
  now = 1_700_000_000_000
  measures = false
  #step = 0
  #underWay: { to: Node; from: Node; message: Message }[] = []
  readonly #later = new Map<number, (() => void)[]>()

  constructor(seed: number) {
    this.random = dice(seed)
  }

  add(name: string): Node {
    const member = memberOf(name, this.now)
    const node: Node = {
      id: member.id,
      gossip: new Gossip(member, {
        identity: identityNamed(name),
        now: this.now,
        random: this.random,
        verify: verifiesOnce,
      }),
      links: new Set(),
      phase: Math.floor(this.random() * STEPS_PER_TICK),
      isThere: true,
      sentBytes: 0,
    }
    this.nodes.push(node)
    return node
  }

  get there(): Node[] {
    return this.nodes.filter(({ isThere }) => isThere)
  }

  /** Makes links as a node does that looks for others, spread over a few seconds. */
  dial(node: Node): void {
    for (let made = 0; made < LINKS_TO_MAKE; made += 1) {
      this.after(this.random() * 5000, () => {
        const others = this.there.filter((other) => other !== node)
        const other = others[Math.floor(this.random() * others.length)]
        if (other !== undefined && node.isThere && node.links.size < LINKS_TO_MAKE) this.link(node, other)
      })
    }
  }

  link(one: Node, two: Node): void {
    if (one.links.has(two)) return
    one.links.add(two)
    two.links.add(one)
    one.gossip.link(two.id, this.now)
    two.gossip.link(one.id, this.now)
  }

  unlink(one: Node, two: Node): void {
    one.links.delete(two)
    two.links.delete(one)
    one.gossip.unlink(two.id, this.now)
    two.gossip.unlink(one.id, this.now)
  }

  /** Without a word, as when the power fails. */
  vanish(node: Node): void {
    node.isThere = false
    for (const other of node.links) {
      const ms = NOTICED_MS.from + this.random() * (NOTICED_MS.to - NOTICED_MS.from)
      this.after(ms, () => this.unlink(node, other))
    }
  }

  /** Whatever the node itself would say. */
  say(from: Node, message: Partial<Message>): void {
    for (const to of from.links) this.#post(from, to, { ...NOTHING, ...message })
  }

  leave(node: Node): void {
    for (const other of node.links) this.#post(node, other, node.gossip.goodbye())
    node.isThere = false
    this.after(STEP_MS * 2, () => {
      for (const other of [...node.links]) this.unlink(node, other)
    })
  }

  after(ms: number, does: () => void): void {
    const at = this.#step + Math.max(1, Math.round(ms / STEP_MS))
    this.#later.set(at, [...(this.#later.get(at) ?? []), does])
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) this.#advance()
  }

  /** How long it takes until `holds`, in milliseconds; undefined when that is longer than `withinMs`. */
  until(holds: () => boolean, withinMs: number): number | undefined {
    for (const start = this.now; this.now - start <= withinMs; this.run(250)) {
      if (holds()) return this.now - start
    }
    return undefined
  }

  /** How many others are missing from, or too many in, what all who are there know. */
  errors(): { missing: number; stale: number } {
    const there = this.there
    let [missing, stale] = [0, 0]
    for (const { gossip } of there) {
      const right = there.filter(({ id }) => gossip.members.get(id) !== undefined).length
      missing += there.length - 1 - right
      stale += gossip.members.size - right
    }
    return { missing, stale }
  }

  isRight(): boolean {
    const { missing, stale } = this.errors()
    return missing === 0 && stale === 0
  }

  /** What each node sends, in bytes per second, keeping its links alive included. */
  measure(ms: number): { mean: number; most: number } {
    this.measures = true
    for (const node of this.nodes) node.sentBytes = 0
    this.run(ms)
    this.measures = false
    const rates = this.there.map(
      ({ sentBytes, links }) => (sentBytes * 1000) / ms + (links.size * FRAME_BYTES * 1000) / KEEP_ALIVE_MS,
    )
    return {
      mean: Math.round(rates.reduce((sum, rate) => sum + rate, 0) / rates.length),
      most: Math.round(Math.max(...rates)),
    }
  }

  #advance(): void {
    this.#step += 1
    this.now += STEP_MS
    for (const does of this.#later.get(this.#step) ?? []) does()
    this.#later.delete(this.#step)
    const arriving = this.#underWay
    this.#underWay = []
    for (const { from, to, message } of arriving) {
      if (!to.isThere || !to.links.has(from)) continue
      if (!to.gossip.receive(from.id, message, this.now)) this.unlink(to, from)
    }
    for (const node of this.nodes) {
      if (!node.isThere) continue
      if ((this.#step + node.phase) % STEPS_PER_TICK === 0) node.gossip.tick(this.now)
      for (const { to, message } of node.gossip.takeOutgoing()) {
        for (const other of node.links) if (other.id === to) this.#post(node, other, message)
      }
    }
  }

  #post(from: Node, to: Node, message: Message): void {
    if (this.measures) from.sentBytes += encodeMessage(message).length + FRAME_BYTES
    this.#underWay.push({ from, to, message })
  }
}

/** All in this process hear the same, and what is right for one is right for all. */
const verified = new Map<string, boolean>()

function verifiesOnce(key: string, said: string, signature: string): boolean {
  const name = `${key} ${signature} ${said}`
  const known = verified.get(name) ?? verifies(key, said, signature)
  verified.set(name, known)
  return known
}

export function identityNamed(name: string): Identity {
  return identityOf(createHash('sha256').update(name).digest())
}

/** What the member says of itself. */
export function accountOf(name: string, member: Member, beat = 0): Account {
  const hand = new Hand(identityNamed(name))
  return { testimony: hand.testify(member), sign: hand.sign('alive', signOf(member, beat)) }
}

export function memberOf(name: string, incarnation: number): Member {
  const fingerprint = createHash('sha256').update(name).digest('hex')
  return {
    id: identityNamed(name).id,
    incarnation,
    name,
    host: '10.0.0.1',
    port: 5052,
    fingerprint,
    zone: 'zone-a',
    version: '0.1.0',
    protocol: 1,
    load: 0,
  }
}

/** mulberry32 */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
