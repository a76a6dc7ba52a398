import type DHT from 'hyperdht'
import type Hyperswarm from 'hyperswarm'
import type { Discovery as Lookup, NoiseStream } from 'hyperswarm'
import { pause } from '../../../lib/async/abort.ts'
import type { DhtNodeOptions, HostPort } from '../../dht/dht-node.ts'
import type { Identity } from '../../identity/identity.ts'

/** hyperswarm dials this many members. Links that other members dialed are added to these. */
const MAX_DIALED_LINKS = 24
/**
 * How often the agent looks for other members. Nodes that start together find few of the others at first, and hyperswarm
 * itself looks again only after minutes. `earlyMs` is how long the first phase lasts, with a lookup every `tickMs`.
 */
const LOOKUP = { tickMs: 1000, earlyMs: 10_000, fewLinksMs: 3000, calmMs: 60_000 }
/** Bounds how long `stop` waits for hyperswarm to remove its announcements from the DHT. */
const UNANNOUNCE_MS = 1000

export interface DiscoveryOptions {
  readonly dht: DhtNodeOptions
  readonly identity: Identity
  /** Agents announce themselves in the DHT under these topics. */
  readonly topics: readonly Buffer[]
  readonly onConnection: (stream: NoiseStream) => void
  /** Whether this node has no links, fewer links than it should have, or enough. */
  readonly linkState: () => 'none' | 'few' | 'enough'
}

/** Finds other agents by the DHT, and opens connections to and from them. */
export class Discovery {
  readonly #options: DiscoveryOptions
  readonly #stopping = new AbortController()
  #address: HostPort | undefined
  #node: DHT | undefined
  #swarm: Hyperswarm | undefined
  #joining: Promise<void> | undefined
  #lookups: Promise<void> | undefined

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  /** The address of this agent's node of the DHT. */
  get address(): HostPort | undefined {
    return this.#address
  }

  /** The node of the DHT is reachable, and the agent is looking for members. */
  get isJoined(): boolean {
    return this.#swarm !== undefined
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Resolves when the node of the DHT listens. The libraries are loaded only now, so that agents without peers do not load them. */
  async start(): Promise<void> {
    const [{ openDhtNode }, { default: HyperswarmClass }] = await Promise.all([
      import('../../dht/dht-node.ts'),
      import('hyperswarm'),
    ])
    const { publicKey, secretKey } = this.#options.identity
    const { node, ready } = await openDhtNode(this.#options.dht)
    this.#node = node
    // A stop during the start has found no node to destroy.
    if (this.isStopping) return node.destroy({ force: true })
    const address = node.address()
    this.#address = address === null ? undefined : { host: address.host, port: address.port }
    this.#joining = ready.then((dht) =>
      this.#join(
        dht,
        () => new HyperswarmClass({ keyPair: { publicKey, secretKey }, dht, maxPeers: MAX_DIALED_LINKS }),
      ),
    )
    // A failure shows in `isJoined`, which never becomes true.
    this.#joining.catch(() => {})
  }

  /** From now on no connection is opened. */
  async beginStop(): Promise<void> {
    this.#stopping.abort()
    await this.#joining?.catch(() => {})
  }

  async stop(): Promise<void> {
    await this.beginStop()
    // hyperswarm asks other nodes to remove its announcements; it would wait long for nodes that have gone.
    if (this.#swarm !== undefined) await settledWithin(UNANNOUNCE_MS, this.#swarm.destroy())
    await this.#node?.destroy({ force: true })
    await this.#lookups
  }

  async #join(dht: DHT, openSwarm: () => Hyperswarm): Promise<void> {
    this.#node = dht
    if (this.isStopping) return
    const { topics, onConnection } = this.#options
    const swarm = openSwarm()
    this.#swarm = swarm
    swarm.on('connection', onConnection)
    const lookups = topics.map((topic) => swarm.join(topic, { client: true, server: true }))
    this.#lookups = this.#lookForMembers(lookups, async () => {
      for (const topic of topics) await dialFromOwnNode(dht, swarm, topic)
    })
  }

  async #lookForMembers(lookups: readonly Lookup[], dialFromOwnNodes: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    const startedAt = performance.now()
    let lookedAt = startedAt
    while (!signal.aborted) {
      await pause(LOOKUP.tickMs, { signal }).catch(() => {})
      const now = performance.now()
      const isEarly = now - startedAt < LOOKUP.earlyMs
      const intervalMs = this.#options.linkState() === 'enough' ? LOOKUP.calmMs : LOOKUP.fewLinksMs
      if (!isEarly && now - lookedAt < intervalMs) continue
      lookedAt = now
      await Promise.allSettled(lookups.map((lookup) => lookup.refresh({ client: true, server: true })))
      if (this.#options.linkState() === 'none') await dialFromOwnNodes().catch(() => {})
    }
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
export async function settledWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const deadline = new AbortController()
  await Promise.race([work.catch(() => {}), pause(ms, { signal: deadline.signal }).catch(() => {})])
  deadline.abort()
}
