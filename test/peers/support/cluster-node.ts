import { randomBytes } from 'node:crypto'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../../src/fetch/freshness.ts'
import { readAll } from '../../../src/fetch/manifests/manifest-body.ts'
import { CachingResolver } from '../../../src/fetch/resolver.ts'
import type { LanePool } from '../../../src/lanes/lane-pool.ts'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { ownActivity } from '../../../src/observe/reports/swarm/own-activity.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { repositoryFilter } from '../../../src/oci/names/repository-filter.ts'
import { issueCredentials } from '../../../src/peers/identity/certificate.ts'
import { identityOf } from '../../../src/peers/identity/identity.ts'
import { type Member, type MemberId, PEER_PROTOCOL } from '../../../src/peers/identity/member.ts'
import { Pseudonyms } from '../../../src/peers/identity/pseudonyms.ts'
import type { SwarmSecret } from '../../../src/peers/identity/secret.ts'
import { PeerNetwork, type PeerTimeouts } from '../../../src/peers/network.ts'
import { PeerRegistry } from '../../../src/peers/peer-registry.ts'
import type { UpstreamEntry } from '../../../src/upstream/options/options.ts'
import { createUpstreams, type Upstreams } from '../../../src/upstream/upstreams.ts'
import { Warming, type WarmingRequest } from '../../../src/warm/warming.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { connectionResources } from '../../../testkit/peer-lab.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'
import { runningTime } from './running-clock.ts'
import type { SharedMembership } from './shared-membership.ts'

/** No member takes another one for dead because the machine is busy. */
const LONG_TIMEOUTS: PeerTimeouts = {
  connections: { connectMs: 60_000 },
  ownerAnswerMs: 60_000,
  trackerSilenceMs: 60_000,
  whoHasMs: 60_000,
  activityMs: 60_000,
  now: runningTime,
}

const NO_BYTES = { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 }

export const REPOSITORY: Repository = { registry: 'up.test', name: 'app' }

export interface NodeOptions {
  readonly zone?: string
  readonly upstream?: Partial<UpstreamEntry>
  readonly policy?: Partial<FlightPolicy>
  readonly timeouts?: PeerTimeouts
  readonly flightLimit?: number
  readonly uploadBytesPerSecond?: number
  readonly allow?: readonly string[]
  readonly protocol?: number
  readonly defaultNamespace?: string
}

export interface NodeSetting {
  readonly name: string
  readonly secret: SwarmSecret
  readonly membership: SharedMembership
  /** The `host:port` of upstream. */
  readonly host: string
}

/** An agent in this process: the real code of peers, upstream and fetch, over a store in memory, without a server for clients. */
export class Node {
  readonly name: string
  readonly id: MemberId
  /** What the node tells the others of itself. */
  readonly self: Member
  readonly network: PeerNetwork
  readonly upstreams: Upstreams
  readonly catalog = new MemoryCatalog()
  readonly store = new MemoryStore({ catalog: this.catalog })
  readonly resolver: CachingResolver
  readonly warming: Warming
  /** What peers have asked this node to warm. */
  readonly warmRequests: WarmingRequest[] = []
  readonly pinned = new Set<Digest>()
  readonly #isAllowed: (repository: Repository) => boolean
  readonly #lanes: LanePool

  /** Opens a node that listens, and has not joined the others yet. */
  static async open({ name, secret, membership, host }: NodeSetting, options: NodeOptions): Promise<Node> {
    const credentials = issueCredentials([secret], { identity: identityOf(randomBytes(32)) })
    const { id, fingerprint } = credentials
    const selfAt = (address: { host: string; port: number }): Member => ({
      id,
      incarnation: Date.now(),
      name,
      ...address,
      fingerprint,
      zone: options.zone,
      version: 'test',
      protocol: options.protocol ?? PEER_PROTOCOL,
    })
    const lanes = sharedLanes()
    const network = await PeerNetwork.open({
      credentials,
      lanes,
      pseudonyms: new Pseudonyms([secret]),
      listen: { host: '127.0.0.1', port: 0 },
      timeouts: { ...LONG_TIMEOUTS, ...options.timeouts },
      resources: connectionResources({
        uploadLimiter: new RateLimiter(options.uploadBytesPerSecond),
        stallMs: 10_000,
        lingerMs: 1000,
      }),
      createMembership: (address) => membership.of(selfAt(address)),
    })
    return new Node(network, lanes, host, options)
  }

  private constructor(network: PeerNetwork, lanes: LanePool, host: string, options: NodeOptions) {
    this.#lanes = lanes
    this.network = network
    this.self = network.self
    this.id = this.self.id
    this.name = this.self.name
    this.#isAllowed = repositoryFilter(options.allow)
    const { rateLimits } = network.client
    this.upstreams = createUpstreams(
      { entries: [{ namespace: REPOSITORY.registry, hosts: [host], tls: false, ...options.upstream }] },
      { notices: rateLimits, lanes: this.#lanes },
    )
    rateLimits.onReceived((limitedHost) => this.upstreams.readRateLimitNotices(limitedHost))
    this.resolver = new CachingResolver({
      store: this.store,
      catalog: this.catalog,
      registry: new PeerRegistry(this.upstreams, network),
      flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 5, ...options.policy },
      freshnessPolicy: DEFAULT_FRESHNESS,
      manifestMemoryBytes: 1024 * 1024,
      flightLimit: options.flightLimit ?? 100,
    })
    this.warming = this.#createWarming(options)
  }

  async join(): Promise<void> {
    await this.network.join({
      localContent: this.resolver.localContent,
      tag: (repository, tag, options) => this.resolver.tagHead(repository, tag, options),
      isAllowed: this.#isAllowed,
      warm: (request, { signal }) => {
        this.warmRequests.push({ ...request, signal })
        return this.warming.warm({ ...request, signal })
      },
      activity: () =>
        ownActivity(
          {
            flights: () =>
              this.resolver.flights.list().map(({ want, position, size, source }) => {
                return { ...want, position, size, source: source?.name }
              }),
            peers: () => this.network.report(),
            store: () => ({ blobs: this.store.stored.size, bytes: 0 }),
            warm: async () => ({ stored: 0, missing: 0 }),
          },
          { served: NO_BYTES, fetched: NO_BYTES },
        ),
    })
  }

  async stop(): Promise<void> {
    await this.network.leave({ drainMs: 0 })
    await this.warming.stop()
    await this.resolver.flights.stop()
    await this.upstreams.close()
    await this.network.close()
    await this.#lanes.stop()
  }

  async pull(digest: Digest, repository = REPOSITORY): Promise<{ bytes: Buffer; from: string }> {
    const signal = AbortSignal.timeout(60_000)
    const { content, cacheResult } = await this.resolver.blob(repository, digest, { signal })
    try {
      for (let known = 0; known < content.size; ) known = await content.readable(known, { signal })
      const bytes = await readAll((target, position) => content.read(target, position), content.size)
      return {
        bytes: Buffer.from(bytes),
        from: cacheResult.kind === 'miss' ? cacheResult.from : cacheResult.kind,
      }
    } finally {
      await content.close()
    }
  }

  #createWarming(options: NodeOptions): Warming {
    return new Warming(
      {
        resolver: this.resolver,
        defaultNamespace: options.defaultNamespace ?? REPOSITORY.registry,
        allowed: this.#isAllowed,
        stored: (digest) => this.store.facts(digest),
        flight: (digest) => this.resolver.flights.get(digest),
        forget: (digest) => this.resolver.forget(digest),
        tag: (repository, tag) => this.catalog.tag(repository, tag),
        tagTtlMs: () => 60_000,
        limitBytes: () => undefined,
        pin: async (digest) => void this.pinned.add(digest),
        unpin: async (digest) => void this.pinned.delete(digest),
      },
      [],
      () => this.network.client.warmTargets(),
    )
  }
}
