import { randomBytes } from 'node:crypto'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../src/fetch/freshness.ts'
import { readAll } from '../../src/fetch/manifests/manifest-body.ts'
import { CachingResolver } from '../../src/fetch/resolver.ts'
import { RateLimiter } from '../../src/lib/async/rate-limiter.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { repositoryFilter } from '../../src/oci/names/repository-filter.ts'
import { issueCredentials } from '../../src/peers/identity/certificate.ts'
import type { PeerCredentials } from '../../src/peers/identity/credentials.ts'
import { identityOf } from '../../src/peers/identity/identity.ts'
import { type Member, type MemberId, PEER_PROTOCOL } from '../../src/peers/identity/member.ts'
import { Pseudonyms } from '../../src/peers/identity/pseudonyms.ts'
import { deriveSecret, type SwarmSecret } from '../../src/peers/identity/secret.ts'
import {
  type NoticeChannel,
  NoticeStore,
  type PseudonymousNotice,
} from '../../src/peers/membership/gossip/rate-limit-notices.ts'
import type { Membership } from '../../src/peers/membership/membership.ts'
import { OwnerRanking } from '../../src/peers/membership/owner-ranking.ts'
import { type Patience, PeerNetwork } from '../../src/peers/network.ts'
import { PeerCommons } from '../../src/peers/peer-commons.ts'
import { PeerRegistry } from '../../src/peers/peer-registry.ts'
import { SendBuffers } from '../../src/peers/wire/connection/send-buffers.ts'
import type { UpstreamEntry } from '../../src/upstream/options/options.ts'
import { createUpstreams, type Upstreams } from '../../src/upstream/upstreams.ts'
import { type Wanting, Warming } from '../../src/warm/warming.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { digestOf, MemoryStore } from '../../testkit/memory/memory-store.ts'
import { Rogue } from './support/rogue.ts'
import { runningTime } from './support/running-clock.ts'

/** Nobody takes another for gone because the machine is busy: who is waited for in vain is of no use to any test. */
const PATIENT: Patience = {
  dial: { connectMs: 60_000 },
  ownerMs: 60_000,
  silenceMs: 60_000,
  whoHasMs: 60_000,
  now: runningTime,
}

export const REPOSITORY: Repository = { registry: 'up.test', name: 'app' }

/** Agents in this process, each with a memory of its own, that know each other because the test says so. */
export class Cluster {
  readonly nodes: Node[] = []
  readonly #rogues: Rogue[] = []
  readonly #secret: SwarmSecret
  readonly #listeners = new Set<() => void>()
  readonly #noticeReceivers = new Map<MemberId, (notice: PseudonymousNotice) => void>()

  private constructor(secret: SwarmSecret) {
    this.#secret = secret
  }

  static async start(count: number, host: string, options: NodeOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(await deriveSecret('only for the tests of peers'))
    await Promise.all(Array.from({ length: count }, () => cluster.add(host, options)))
    return cluster
  }

  async add(host: string, options: NodeOptions = {}): Promise<Node> {
    const node = new Node(`node-${this.nodes.length}`, this.#secret, host, options)
    this.nodes.push(node)
    await node.start((self) => this.#membershipOf(self))
    this.#changed()
    return node
  }

  /** One that all others take for one of them. */
  async addRogue(name = 'rogue'): Promise<Rogue> {
    const rogue = await Rogue.start(this.#secret, name)
    this.#rogues.push(rogue)
    this.#changed()
    return rogue
  }

  /** Bytes whose digest this member owns. */
  bytesOwnedBy({ id }: { readonly id: MemberId }, size: number): Buffer {
    const ranking = new OwnerRanking(this.#live().map((member) => member.id))
    for (;;) {
      const bytes = randomBytes(size)
      if (ranking.owner(digestOf(bytes)) === id) return bytes
    }
  }

  /** The owner of this digest, and who would be it if there were none of those before. */
  ranked(digest: Digest): readonly Node[] {
    const ids = this.#live().map(({ id }) => id)
    const order = new OwnerRanking(ids).first(digest, ids.length)
    return order.flatMap((id) => this.nodes.find(({ member }) => member?.id === id) ?? [])
  }

  ownerOf(digest: Digest): Node {
    const [owner] = this.ownersOf(digest, 1)
    if (owner === undefined) throw new Error(`no node owns ${digest}`)
    return owner
  }

  /** The first so many in rank. */
  ownersOf(digest: Digest, count: number): readonly Node[] {
    const ids = new OwnerRanking(this.#live().map(({ id }) => id)).first(digest, count)
    return ids.flatMap((id) => this.nodes.find(({ member }) => member?.id === id) ?? [])
  }

  /** Gone without a word. */
  async kill(node: Node): Promise<void> {
    node.isLive = false
    await node.stop()
    this.#changed()
  }

  /** All others do not know of it for as long as this takes. */
  async without(node: Node, work: () => Promise<unknown>): Promise<void> {
    node.isLive = false
    this.#changed()
    await work()
    node.isLive = true
    this.#changed()
  }

  /** All others believe it to be at another port. */
  move(node: Node, port: number): void {
    if (node.member !== undefined) node.member = { ...node.member, port }
    this.#changed()
  }

  /** As it would be after a start on the same data. */
  revive(node: Node): void {
    if (node.member !== undefined) node.member = { ...node.member, incarnation: node.member.incarnation + 1 }
    this.#changed()
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.filter(({ isLive }) => isLive).map((node) => this.kill(node)))
    await Promise.all(this.#rogues.map((rogue) => rogue.stop()))
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #live(): Member[] {
    const honest = this.nodes.flatMap(({ isLive, member }) => (isLive && member ? member : []))
    return [...honest, ...this.#rogues.map(({ member }) => member)]
  }

  #membershipOf(self: Member): Membership {
    const live = () => this.#live()
    return {
      self,
      others: () => live().filter(({ id }) => id !== self.id),
      departure: () => 'silent',
      get: (id) => live().find((member) => member.id === id && id !== self.id),
      onChange: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      notices: this.#noticeChannelOf(self),
    }
  }

  /** A notice that one node sends reaches all others at once. */
  #noticeChannelOf(self: Member): NoticeChannel {
    const store = new NoticeStore()
    const listeners = new Set<(host: string) => void>()
    this.#noticeReceivers.set(self.id, (notice) => {
      if (!store.add(notice, performance.now(), self.id)) return
      for (const listener of listeners) listener(notice.host)
    })
    return {
      send: (notice) => {
        store.add(notice, performance.now())
        for (const [id, receive] of this.#noticeReceivers) if (id !== self.id) receive(notice)
      },
      latest: (pseudonym) => store.latest(pseudonym, performance.now()),
      onReceived: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    }
  }
}

export interface NodeOptions {
  readonly zone?: string
  readonly upstream?: Partial<UpstreamEntry>
  readonly policy?: Partial<FlightPolicy>
  readonly patience?: Patience
  readonly flightLimit?: number
  readonly uploadBytesPerSecond?: number
  readonly allow?: readonly string[]
  readonly protocol?: number
  readonly defaultNamespace?: string
}

export class Node {
  readonly name: string
  readonly credentials: PeerCredentials
  readonly catalog = new MemoryCatalog()
  readonly store = new MemoryStore({ catalog: this.catalog })
  readonly resolution: CachingResolver
  readonly warming: Warming
  /** What peers wanted warm. */
  readonly wishes: Wanting[] = []
  readonly pinned = new Set<Digest>()
  member: Member | undefined
  isLive = true
  readonly #zone: string | undefined
  readonly #protocol: number
  readonly upstreams: Upstreams
  readonly #network: PeerNetwork

  constructor(name: string, secret: SwarmSecret, host: string, options: NodeOptions) {
    this.name = name
    this.#zone = options.zone
    this.#protocol = options.protocol ?? PEER_PROTOCOL
    const credentials = issueCredentials([secret], { identity: identityOf(randomBytes(32)) })
    this.credentials = credentials
    let network: PeerNetwork | undefined
    this.upstreams = createUpstreams(
      { entries: [{ namespace: REPOSITORY.registry, hosts: [host], tls: false, ...options.upstream }] },
      new PeerCommons(() => network),
    )
    const allowed = repositoryFilter(options.allow)
    this.resolution = new CachingResolver({
      store: this.store,
      catalog: this.catalog,
      registry: new PeerRegistry(this.upstreams, () => network),
      flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 5, ...options.policy },
      freshnessPolicy: DEFAULT_FRESHNESS,
      manifestMemoryBytes: 1024 * 1024,
      flightLimit: options.flightLimit ?? 100,
    })
    network = new PeerNetwork({
      credentials,
      pseudonyms: new Pseudonyms([secret]),
      listen: { host: '127.0.0.1', port: 0 },
      patience: { ...PATIENT, ...options.patience },
      traffic: {
        uploadLimiter: new RateLimiter(options.uploadBytesPerSecond),
        downloadLimiter: new RateLimiter(undefined),
        sendBuffers: new SendBuffers(16 * 1024 * 1024),
        stallMs: 10_000,
        lingerMs: 1000,
      },
      node: {
        holdings: this.resolution.localContent,
        tag: (repository, tag, asking) => this.resolution.tagHead(repository, tag, asking),
        allowed,
        heard: (host) => this.upstreams.readRateLimitNotices(host),
        warm: (wish, { signal }) => {
          this.wishes.push({ ...wish, signal })
          return this.warming.warm({ ...wish, signal })
        },
      },
    })
    this.#network = network
    this.warming = new Warming(
      {
        resolver: this.resolution,
        defaultNamespace: options.defaultNamespace ?? REPOSITORY.registry,
        allowed,
        stored: (digest) => this.store.facts(digest),
        coming: (digest) => this.resolution.flights.get(digest),
        forget: (digest) => this.resolution.forget(digest),
        tag: (repository, tag) => this.catalog.tag(repository, tag),
        tagTtlMs: () => 60_000,
        limitBytes: () => undefined,
        pin: async (digest) => void this.pinned.add(digest),
        unpin: async (digest) => void this.pinned.delete(digest),
      },
      [],
      () => network?.warmers(),
    )
  }

  get network(): PeerNetwork {
    return this.#network
  }

  async start(membershipOf: (self: Member) => Membership): Promise<void> {
    const { host, port } = await this.#network.listen()
    const { id, fingerprint } = this.credentials
    const self: Member = {
      id,
      incarnation: Date.now(),
      name: this.name,
      host,
      port,
      fingerprint,
      zone: this.#zone,
      version: 'test',
      protocol: this.#protocol,
    }
    this.member = self
    this.#network.join(membershipOf(self))
  }

  async stop(): Promise<void> {
    await this.#network.leave({ drainMs: 0 })
    await this.warming.stop()
    await this.resolution.flights.stop()
    this.#network.close()
    await this.upstreams.close()
  }

  async pull(digest: Digest, repository = REPOSITORY): Promise<{ bytes: Buffer; from: string }> {
    const signal = AbortSignal.timeout(60_000)
    const { content, cacheResult } = await this.resolution.blob(repository, digest, { signal })
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
}
