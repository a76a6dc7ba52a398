import type { NoiseStream } from 'hyperswarm'
import type { HostPort } from '../dht/dht-node.ts'
import { type Identity, memberIdOf } from '../identity/identity.ts'
import type { Member, MemberId } from '../identity/member.ts'
import type { SwarmSecret } from '../identity/secret.ts'
import { Gossip, TICK_MS } from './gossip/gossip.ts'
import type { GossipMessage } from './gossip/gossip-messages.ts'
import type { NoticeChannel } from './gossip/rate-limit-notices.ts'
import { Discovery, settledWithin } from './links/discovery.ts'
import { DEFAULT_LINK_LIMITS, Link, type LinkLimits, type LinkListener } from './links/link.ts'
import { Links } from './links/links.ts'
import type { Membership } from './membership.ts'

/** With fewer links than this, and as many other members, the agent looks for members more often. */
const ENOUGH_LINKS = 3
/** Bounds how long `stop` waits for the goodbyes to arrive. */
const GOODBYE_MS = 1000

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
  /** The node of the DHT is reachable, and the agent is looking for members. */
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

export function createSwarm(options: SwarmOptions): Swarm {
  return new GossipSwarm(options)
}

/** The members as gossip knows them, over links to the agents that the discovery finds. */
class GossipSwarm implements Swarm, LinkListener {
  readonly #proofKeys: readonly Buffer[]
  readonly #limits: LinkLimits
  readonly #now: () => number
  readonly #gossip: Gossip
  readonly #discovery: Discovery
  readonly #links = new Links()
  readonly #changeListeners = new Set<() => void>()
  readonly #noticeListeners = new Set<(host: string) => void>()
  #others: readonly Member[] = []
  #gossipTimer: NodeJS.Timeout | undefined
  #refused = 0

  constructor(options: SwarmOptions) {
    const { identity, secrets, self, dht, bootstrap, publicDht } = options
    this.#proofKeys = secrets.map(({ proofKey }) => proofKey)
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits }
    this.#now = options.now ?? (() => performance.now())
    this.#gossip = new Gossip(
      { ...self, id: identity.id },
      { identity, now: this.#now(), random: Math.random },
    )
    this.#discovery = new Discovery({
      dht: {
        listen: dht,
        bootstrap,
        advertise: self.host,
        publicDht,
        keepAliveMs: this.#limits.keepAliveMs,
      },
      identity,
      topics: secrets.map(({ topic }) => topic),
      onConnection: (stream) => this.#accept(stream),
      linkState: () => this.#linkState(),
    })
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
      dht: this.#discovery.address,
      isJoined: this.#discovery.isJoined,
      links: this.#links.size,
      members: this.#others.length,
      refused: this.#refused,
    }
  }

  async start(): Promise<void> {
    await this.#discovery.start()
    if (this.#discovery.isStopping) return
    this.#gossipTimer = setInterval(() => {
      this.#gossip.tick(this.#now())
      this.#deliver()
    }, TICK_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#gossipTimer)
    await this.#discovery.beginStop()
    const links = this.#links.proven()
    for (const link of links) link.send(this.#gossip.goodbye())
    await settledWithin(GOODBYE_MS, Promise.allSettled(links.map((link) => link.flush())))
    this.#links.closeAll()
    await this.#discovery.stop()
  }

  onProven(link: Link): void {
    this.#links.setProven(link)
    this.#gossip.link(link.id, this.#now())
    this.#deliver()
  }

  onMessage(link: Link, message: GossipMessage): boolean {
    // A link that another one has replaced may still receive messages.
    if (this.#links.get(link.id) !== link) return true
    const isHonest = this.#gossip.receive(link.id, message, this.#now())
    this.#deliver()
    return isHonest
  }

  onClosed(link: Link, isRefused: boolean): void {
    if (isRefused) this.#refused += 1
    if (this.#links.remove(link)) this.#gossip.unlink(link.id, this.#now())
  }

  #accept(stream: NoiseStream): void {
    if (this.#discovery.isStopping || !this.#links.hasRoomFor(memberIdOf(stream.remotePublicKey))) {
      // The connection is closed before anything is sent, so that the other end does not take it for a link that broke.
      stream.on('error', () => {})
      stream.destroy()
      return
    }
    this.#links.addUnproven(new Link(stream, this.#proofKeys, this, this.#limits))
  }

  #linkState(): 'none' | 'few' | 'enough' {
    if (this.#links.size === 0) return 'none'
    return this.#links.size < Math.min(ENOUGH_LINKS, this.#others.length) ? 'few' : 'enough'
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
