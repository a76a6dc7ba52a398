import type DHT from 'hyperdht'
import type Hyperswarm from 'hyperswarm'
import type { Discovery, NoiseStream } from 'hyperswarm'
import { pause } from '../../lib/async/abort.ts'
import type { HostPort } from '../dht/dht-node.ts'
import { type Identity, memberIdOf } from '../identity/identity.ts'
import { type Member, type MemberId, roundLoad } from '../identity/member.ts'
import type { SwarmSecret } from '../identity/secret.ts'
import { Gossip, TICK_MS } from './gossip.ts'
import type { Message } from './gossip-messages.ts'
import { LINK_LIMITS, Link, type LinkEvents, type LinkLimits } from './link.ts'
import type { Membership } from './membership.ts'
import type { Hearsay } from './rate-limit-notices.ts'

/** So many are dialed. Those that others dialed come on top; there has to be a place for whoever comes last. */
const LINKS_TO_MAKE = 24
const MOST_LINKS = 64
const MOST_UNPROVEN = 32
/** Nodes that start together find few of the others at first, and hyperswarm itself looks again in minutes only. */
const LOOK = { everyMs: 1000, eagerMs: 10_000, lonelyMs: 3000, calmMs: 60_000 }
/** With fewer links than that, if there are so many others, it is looked for more of them. */
const ENOUGH_LINKS = 3
const GOODBYE_MS = 1000
const CLOSE_MS = 1000

export interface SwarmOptions {
  /** The first is used, all are accepted. */
  readonly secrets: readonly SwarmSecret[]
  readonly identity: Identity
  readonly self: Omit<Member, 'id' | 'load'>
  /** How many peers are being given content now. */
  readonly uploads: () => number
  /** Where its node of the DHT listens. */
  readonly dht: HostPort
  readonly bootstrap: readonly HostPort[]
  readonly publicDht: boolean
  readonly limits?: Partial<LinkLimits>
  /** The clock of what members tell each other. */
  readonly now?: () => number
}

export interface SwarmStatus {
  /** Of its node of the DHT. */
  readonly dht: HostPort | undefined
  /** Its node has found others, or needs none. */
  readonly isJoined: boolean
  readonly links: number
  readonly members: number
  /** Links that were closed because of what the other end did: no proof, garbage, a flood. */
  readonly refused: number
}

export interface Swarm extends Membership {
  /** Resolves when it listens; whom it finds comes after that. */
  start(): Promise<void>
  /** Says goodbye. */
  stop(): Promise<void>
  status(): SwarmStatus
}

/** Loads the libraries only now: an agent without peers has no use for them. */
export async function createSwarm(options: SwarmOptions): Promise<Swarm> {
  const [{ openDhtNode }, { default: Made }] = await Promise.all([
    import('../dht/dht-node.ts'),
    import('hyperswarm'),
  ])
  return new HyperSwarmMembership(options, {
    openNode: () =>
      openDhtNode({
        listen: options.dht,
        bootstrap: options.bootstrap,
        advertise: options.self.host,
        publicDht: options.publicDht,
        keepAliveMs: options.limits?.keepAliveMs ?? LINK_LIMITS.keepAliveMs,
      }),
    openSwarm: (dht) => {
      const { publicKey, secretKey } = options.identity
      return new Made({ keyPair: { publicKey, secretKey }, dht, maxPeers: LINKS_TO_MAKE })
    },
  })
}

interface Libraries {
  openNode(): Promise<{ node: DHT; ready: Promise<DHT> }>
  openSwarm(dht: DHT): Hyperswarm
}

class HyperSwarmMembership implements Swarm, LinkEvents {
  readonly #options: SwarmOptions
  readonly #libraries: Libraries
  readonly #proofKeys: readonly Buffer[]
  readonly #limits: LinkLimits
  readonly #now: () => number
  readonly #gossip: Gossip
  readonly #links = new Map<MemberId, Link>()
  readonly #unproven = new Set<Link>()
  readonly #listeners = new Set<() => void>()
  readonly #hearers = new Set<(host: string) => void>()
  readonly #stopping = new AbortController()
  #others: readonly Member[] = []
  #address: HostPort | undefined
  #node: DHT | undefined
  #swarm: Hyperswarm | undefined
  #joining: Promise<void> | undefined
  #looking: Promise<void> | undefined
  #ticking: NodeJS.Timeout | undefined
  #refused = 0

  constructor(options: SwarmOptions, libraries: Libraries) {
    this.#options = options
    this.#libraries = libraries
    this.#proofKeys = options.secrets.map(({ proofKey }) => proofKey)
    this.#limits = { ...LINK_LIMITS, ...options.limits }
    this.#now = options.now ?? (() => performance.now())
    const self = { ...options.self, id: options.identity.id, load: 0 }
    const { identity } = options
    this.#gossip = new Gossip(self, { identity, now: this.#now(), random: Math.random })
  }

  get self(): Member {
    return this.#gossip.self
  }

  others(): readonly Member[] {
    return this.#others
  }

  get(id: MemberId): Member | undefined {
    return this.#gossip.members.get(id)
  }

  departure(id: MemberId): 'left' | 'silent' | undefined {
    const gone = this.#gossip.members.gone(id)
    if (gone === undefined) return undefined
    return gone.hasLeft ? 'left' : 'silent'
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly hearsay: Hearsay = {
    tell: (word) => this.#gossip.tell(word, this.#now()),
    heard: (who) => this.#gossip.tidings.heard(who, this.#now()),
    onHeard: (listener) => {
      this.#hearers.add(listener)
      return () => this.#hearers.delete(listener)
    },
  }

  status(): SwarmStatus {
    return {
      dht: this.#address,
      isJoined: this.#swarm !== undefined,
      links: this.#links.size,
      members: this.#others.length,
      refused: this.#refused,
    }
  }

  async start(): Promise<void> {
    const { node, ready } = await this.#libraries.openNode()
    this.#node = node
    const address = node.address()
    this.#address = address === null ? undefined : { host: address.host, port: address.port }
    this.#ticking = setInterval(() => this.#tick(), TICK_MS)
    this.#joining = ready.then((dht) => this.#join(dht))
    // Told by `stop`, and by a status that never becomes joined.
    this.#joining.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#ticking)
    await this.#joining?.catch(() => {})
    const links = [...this.#links.values()]
    for (const link of links) link.say(this.#gossip.goodbye())
    await within(GOODBYE_MS, Promise.allSettled(links.map((link) => link.flush())))
    for (const link of [...links, ...this.#unproven]) link.close()
    // It takes back what it has announced, unless those who keep it for others are gone, too.
    if (this.#swarm !== undefined) await within(CLOSE_MS, this.#swarm.destroy())
    await this.#node?.destroy({ force: true })
    await this.#looking
  }

  proven(link: Link): void {
    this.#unproven.delete(link)
    const before = this.#links.get(link.id)
    this.#links.set(link.id, link)
    before?.close()
    this.#gossip.link(link.id, this.#now())
    this.#pass()
  }

  said(link: Link, message: Message): boolean {
    if (this.#links.get(link.id) !== link) return true
    const isTrue = this.#gossip.receive(link.id, message, this.#now())
    this.#pass()
    return isTrue
  }

  closed(link: Link, isRefused: boolean): void {
    if (isRefused) this.#refused += 1
    this.#unproven.delete(link)
    if (this.#links.get(link.id) !== link) return
    this.#links.delete(link.id)
    this.#gossip.unlink(link.id, this.#now())
  }

  async #join(dht: DHT): Promise<void> {
    this.#node = dht
    if (this.#stopping.signal.aborted) return
    const swarm = this.#libraries.openSwarm(dht)
    this.#swarm = swarm
    swarm.on('connection', (stream) => this.#accept(stream))
    const topics = this.#options.secrets.map(({ topic }) => topic)
    const found = topics.map((topic) => swarm.join(topic, { client: true, server: true }))
    this.#looking = this.#look(found, async () => {
      for (const topic of topics) await lookAtHome(dht, swarm, topic)
    })
  }

  #accept(stream: NoiseStream): void {
    const isKnown = this.#links.has(memberIdOf(stream.remotePublicKey))
    const isFull = this.#links.size + this.#unproven.size >= MOST_LINKS && !isKnown
    // Before anything is said: who is sent away is not to take it for a link that broke.
    if (isFull || this.#unproven.size >= MOST_UNPROVEN || this.#stopping.signal.aborted) {
      stream.on('error', () => {})
      stream.destroy()
      return
    }
    this.#unproven.add(new Link(stream, this.#proofKeys, this, this.#limits))
  }

  async #look(topics: readonly Discovery[], atHome: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    const startedAt = performance.now()
    let lookedAt = startedAt
    while (!signal.aborted) {
      await pause(LOOK.everyMs, { signal }).catch(() => {})
      const now = performance.now()
      const isEager = now - startedAt < LOOK.eagerMs
      const isLonely = this.#links.size < Math.min(ENOUGH_LINKS, Math.max(1, this.#others.length))
      if (!isEager && now - lookedAt < (isLonely ? LOOK.lonelyMs : LOOK.calmMs)) continue
      lookedAt = now
      await Promise.allSettled(topics.map((topic) => topic.refresh({ client: true, server: true })))
      if (this.#links.size === 0) await atHome().catch(() => {})
    }
  }

  #tick(): void {
    this.#gossip.load = roundLoad(this.#options.uploads())
    this.#gossip.tick(this.#now())
    this.#pass()
  }

  #pass(): void {
    for (const { to, message } of this.#gossip.takeOutgoing()) this.#links.get(to)?.say(message)
    for (const host of this.#gossip.takeHosts()) for (const hearer of this.#hearers) hearer(host)
    if (!this.#gossip.takeChange()) return
    this.#others = [...this.#gossip.members.all()]
    for (const listener of this.#listeners) listener()
  }
}

/**
 * A node asks others, but never itself: of two that are alone each keeps for the other what it has announced, and neither
 * would find it. So it is asked by its own address, as others ask it.
 */
async function lookAtHome(dht: DHT, swarm: Hyperswarm, topic: Buffer): Promise<void> {
  const address = dht.address()
  if (address === null) return
  const own = { host: address.host === '0.0.0.0' ? '127.0.0.1' : address.host, port: address.port }
  for await (const { peers } of dht.lookup(topic, { nodes: [own] })) {
    for (const { publicKey } of peers) {
      swarm.joinPeer(publicKey)
      swarm.leavePeer(publicKey)
    }
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const deadline = new AbortController()
  await Promise.race([work.catch(() => {}), pause(ms, { signal: deadline.signal }).catch(() => {})])
  deadline.abort()
}
