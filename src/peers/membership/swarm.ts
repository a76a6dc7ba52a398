import type DHT from 'hyperdht'
import type Hyperswarm from 'hyperswarm'
import type { Discovery, NoiseStream } from 'hyperswarm'
import { pause } from '../../lib/async/abort.ts'
import type { HostPort } from '../dht/dht-node.ts'
import { type Identity, memberIdOf } from '../identity/identity.ts'
import type { Member, MemberId } from '../identity/member.ts'
import type { SwarmSecret } from '../identity/secret.ts'
import { Gossip, TICK_MS } from './gossip.ts'
import type { GossipMessage } from './gossip-messages.ts'
import { DEFAULT_LINK_LIMITS, Link, type LinkLimits, type LinkListener } from './link.ts'
import type { Membership } from './membership.ts'
import type { NoticeChannel } from './rate-limit-notices.ts'

/** hyperswarm dials this many members. Links that other members dialed are added to these. */
const MAX_DIALED_LINKS = 24
/** More links than dialed ones, so that a member that joins late can still link to this node. */
const MAX_LINKS = 64
/** Bounds the connections of strangers, which have `proofMs` each to prove that they know the secret. */
const MAX_UNPROVEN_LINKS = 32
/**
 * How often the swarm looks for other members. Nodes that start together find few of the others at first, and hyperswarm
 * itself looks again only after minutes. `earlyMs` is how long the first phase lasts, with a lookup every `tickMs`.
 */
const LOOKUP = { tickMs: 1000, earlyMs: 10_000, fewLinksMs: 3000, calmMs: 60_000 }
/** With fewer links than this, and as many other members, the swarm looks for members more often. */
const ENOUGH_LINKS = 3
/** Bounds how long `stop` waits for the goodbyes to arrive. */
const GOODBYE_MS = 1000
/** Bounds how long `stop` waits for hyperswarm to remove its announcements from the DHT. */
const UNANNOUNCE_MS = 1000

export interface SwarmOptions {
  /** The agent uses the first secret and accepts all of them. */
  readonly secrets: readonly SwarmSecret[]
  readonly identity: Identity
  readonly self: Omit<Member, 'id'>
  /** The address on which the node of the DHT listens. */
  readonly dht: HostPort
  readonly bootstrap: readonly HostPort[]
  readonly publicDht: boolean
  readonly limits?: Partial<LinkLimits>
  /** The clock of the gossip. */
  readonly now?: () => number
}

export interface SwarmStatus {
  /** The address of this agent's node of the DHT. */
  readonly dht: HostPort | undefined
  /** The node of the DHT is reachable, and the swarm is looking for members. */
  readonly isJoined: boolean
  readonly links: number
  readonly members: number
  /** How many links this node closed because of what the other end did: no valid proof, a malformed message, a flood. */
  readonly refused: number
}

export interface Swarm extends Membership {
  /** Resolves when the agent listens; it finds other members after that. */
  start(): Promise<void>
  /** Says goodbye to the linked members, and closes all links. */
  stop(): Promise<void>
  status(): SwarmStatus
}

/** Loads the libraries only here, so that an agent without peers does not load them at all. */
export async function createSwarm(options: SwarmOptions): Promise<Swarm> {
  const [{ openDhtNode }, { default: HyperswarmClass }] = await Promise.all([
    import('../dht/dht-node.ts'),
    import('hyperswarm'),
  ])
  return new HyperswarmMembership(options, {
    openNode: () =>
      openDhtNode({
        listen: options.dht,
        bootstrap: options.bootstrap,
        advertise: options.self.host,
        publicDht: options.publicDht,
        keepAliveMs: options.limits?.keepAliveMs ?? DEFAULT_LINK_LIMITS.keepAliveMs,
      }),
    openSwarm: (dht) => {
      const { publicKey, secretKey } = options.identity
      return new HyperswarmClass({ keyPair: { publicKey, secretKey }, dht, maxPeers: MAX_DIALED_LINKS })
    },
  })
}

interface Libraries {
  openNode(): Promise<{ node: DHT; ready: Promise<DHT> }>
  openSwarm(dht: DHT): Hyperswarm
}

class HyperswarmMembership implements Swarm, LinkListener {
  readonly #options: SwarmOptions
  readonly #libraries: Libraries
  readonly #proofKeys: readonly Buffer[]
  readonly #limits: LinkLimits
  readonly #now: () => number
  readonly #gossip: Gossip
  readonly #links = new Map<MemberId, Link>()
  readonly #unproven = new Set<Link>()
  readonly #changeListeners = new Set<() => void>()
  readonly #noticeListeners = new Set<(host: string) => void>()
  readonly #stopping = new AbortController()
  #others: readonly Member[] = []
  #address: HostPort | undefined
  #node: DHT | undefined
  #swarm: Hyperswarm | undefined
  #joining: Promise<void> | undefined
  #lookups: Promise<void> | undefined
  #gossipTimer: NodeJS.Timeout | undefined
  #refused = 0

  constructor(options: SwarmOptions, libraries: Libraries) {
    this.#options = options
    this.#libraries = libraries
    this.#proofKeys = options.secrets.map(({ proofKey }) => proofKey)
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits }
    this.#now = options.now ?? (() => performance.now())
    const self = { ...options.self, id: options.identity.id }
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
    const departed = this.#gossip.members.departed(id)
    if (departed === undefined) return undefined
    return departed.hasLeft ? 'left' : 'silent'
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  readonly notices: NoticeChannel = {
    send: (notice) => this.#gossip.sendNotice(notice, this.#now()),
    latest: (pseudonym) => this.#gossip.notices.latest(pseudonym, this.#now()),
    onReceived: (listener) => {
      this.#noticeListeners.add(listener)
      return () => this.#noticeListeners.delete(listener)
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
    this.#gossipTimer = setInterval(() => this.#tick(), TICK_MS)
    this.#joining = ready.then((dht) => this.#join(dht))
    // A failure shows in `status`, which never becomes joined.
    this.#joining.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#gossipTimer)
    await this.#joining?.catch(() => {})
    const links = [...this.#links.values()]
    for (const link of links) link.send(this.#gossip.goodbye())
    await settledWithin(GOODBYE_MS, Promise.allSettled(links.map((link) => link.flush())))
    for (const link of [...links, ...this.#unproven]) link.close()
    // hyperswarm asks other nodes to remove its announcements; it would wait long for nodes that have gone.
    if (this.#swarm !== undefined) await settledWithin(UNANNOUNCE_MS, this.#swarm.destroy())
    await this.#node?.destroy({ force: true })
    await this.#lookups
  }

  onProven(link: Link): void {
    this.#unproven.delete(link)
    const before = this.#links.get(link.id)
    this.#links.set(link.id, link)
    before?.close()
    this.#gossip.link(link.id, this.#now())
    this.#deliver()
  }

  onMessage(link: Link, message: GossipMessage): boolean {
    if (this.#links.get(link.id) !== link) return true
    const isHonest = this.#gossip.receive(link.id, message, this.#now())
    this.#deliver()
    return isHonest
  }

  onClosed(link: Link, isRefused: boolean): void {
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
    const discoveries = topics.map((topic) => swarm.join(topic, { client: true, server: true }))
    this.#lookups = this.#lookForMembers(discoveries, async () => {
      for (const topic of topics) await dialFromOwnNode(dht, swarm, topic)
    })
  }

  #accept(stream: NoiseStream): void {
    const isKnown = this.#links.has(memberIdOf(stream.remotePublicKey))
    const isFull = this.#links.size + this.#unproven.size >= MAX_LINKS && !isKnown
    // The connection is closed before anything is sent, so that the other end does not take it for a link that broke.
    if (isFull || this.#unproven.size >= MAX_UNPROVEN_LINKS || this.#stopping.signal.aborted) {
      stream.on('error', () => {})
      stream.destroy()
      return
    }
    this.#unproven.add(new Link(stream, this.#proofKeys, this, this.#limits))
  }

  async #lookForMembers(
    discoveries: readonly Discovery[],
    dialFromOwnNodes: () => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#stopping
    const startedAt = performance.now()
    let lookedAt = startedAt
    while (!signal.aborted) {
      await pause(LOOKUP.tickMs, { signal }).catch(() => {})
      const now = performance.now()
      const isEarly = now - startedAt < LOOKUP.earlyMs
      const hasFewLinks = this.#links.size < Math.min(ENOUGH_LINKS, Math.max(1, this.#others.length))
      if (!isEarly && now - lookedAt < (hasFewLinks ? LOOKUP.fewLinksMs : LOOKUP.calmMs)) continue
      lookedAt = now
      await Promise.allSettled(
        discoveries.map((discovery) => discovery.refresh({ client: true, server: true })),
      )
      if (this.#links.size === 0) await dialFromOwnNodes().catch(() => {})
    }
  }

  #tick(): void {
    this.#gossip.tick(this.#now())
    this.#deliver()
  }

  /** Sends what the gossip has to send, and tells the listeners what has changed. */
  #deliver(): void {
    for (const { to, message } of this.#gossip.takeOutgoing()) this.#links.get(to)?.send(message)
    for (const host of this.#gossip.takeNoticeHosts()) {
      for (const listener of this.#noticeListeners) listener(host)
    }
    if (!this.#gossip.takeChange()) return
    this.#others = [...this.#gossip.members.all()]
    for (const listener of this.#changeListeners) listener()
  }
}

/**
 * Dials the members that have announced themselves on this agent's own node of the DHT. A node looks up a topic on other
 * nodes only: of two nodes that know no others, each stores the announcement of the other, and neither would find it.
 * The lookup therefore includes the node's own address.
 */
async function dialFromOwnNode(dht: DHT, swarm: Hyperswarm, topic: Buffer): Promise<void> {
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

/** Waits until the work has settled, but no longer than `ms`. */
async function settledWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const deadline = new AbortController()
  await Promise.race([work.catch(() => {}), pause(ms, { signal: deadline.signal }).catch(() => {})])
  deadline.abort()
}
