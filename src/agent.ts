import { createAdminServer } from './admin-api/server.ts'
import type { Flight } from './fetch/flight/flight.ts'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from './fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from './fetch/freshness.ts'
import { CachingResolver } from './fetch/resolver.ts'
import type { DiskLimit } from './lib/disk-limit.ts'
import { contentViewOf } from './observe/reports/content-view.ts'
import { Reporter } from './observe/reports/reporter.ts'
import type { FlightView, NodeView } from './observe/reports/view.ts'
import { repositoryFilter } from './oci/names/repository-filter.ts'
import { joinPeers, type PeerOptions } from './peers/join.ts'
import type { PeerNetwork } from './peers/network.ts'
import { PeerCommons } from './peers/peer-commons.ts'
import { PeerRegistry } from './peers/peer-registry.ts'
import { Failure } from './ports/failure.ts'
import type { CertificateFiles } from './registry-api/connections/certificate.ts'
import { createRegistryServer, type ListenAddress, type RegistryServer } from './registry-api/server.ts'
import { openStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import { Upkeep } from './upkeep/upkeep.ts'
import type { UpstreamEntry, UpstreamOptions } from './upstream/options/options.ts'
import { createUpstreams, type Upstreams } from './upstream/upstreams.ts'
import type { WarmTarget } from './warm/content/warm-target.ts'
import { type WarmEntry, Warming } from './warm/warming.ts'

export type { PeerOptions, UpstreamEntry, UpstreamOptions, WarmEntry }

export interface AgentOptions {
  /** Folder for everything that is kept. */
  readonly data: string
  /** How fast what is kept may be re-hashed while nobody pulls, in bytes per second; default: not at all. */
  readonly scrubRate?: number
  /** How much may be kept, in bytes or as a share of the filesystem; default: whatever comes. */
  readonly maxBytes?: DiskLimit
  /** Registry API; default 127.0.0.1:5050, port 0 for any. */
  readonly listen?: ListenAddress
  /** Metrics, health and the API of the other commands; none when left out. */
  readonly admin?: ListenAddress
  /** PEM files; the registry API then speaks TLS. Read again when they change. */
  readonly tls?: CertificateFiles
  /** Registries that need more than their name. */
  readonly upstreams?: UpstreamOptions
  /** Images that are here before anybody pulls them, and stay so when their tags move. */
  readonly warm?: readonly WarmEntry[]
  /** Other agents that know the same secret are asked before upstream is; none when left out. */
  readonly peers?: PeerOptions
  /** Repositories that may be pulled, such as `docker.io/library/*`; default: all. */
  readonly allow?: readonly string[]
  /** Registry for requests that name none; default docker.io. */
  readonly defaultNamespace?: string
  /** How long sources are waited for and how often they are asked. */
  readonly patience?: Partial<FlightPolicy>
  /** Shown in reports. */
  readonly version?: string
}

export interface Agent {
  /** Resolves when clients are answered. */
  start(): Promise<void>
  /** Takes no more clients, lets bodies under way end for `drainMs`, and closes the store. */
  stop(options?: { drainMs?: number }): Promise<void>
  /** Where it listens, once it has started. */
  readonly addresses: { readonly registry: ListenAddress; readonly admin: ListenAddress | undefined }
  /** Each a sentence about what should be changed, once it has started. */
  readonly warnings: readonly string[]
}

const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 5050 }
const DEFAULT_NAMESPACE = 'docker.io'
const DRAIN_MS = 25_000
const FLIGHTS = 256
/** While no more blobs than this are being read, nobody feels it when others are too. */
const FEW_READS = 2
const MANIFEST_MEMORY = 8 * 1024 * 1024

export function createAgent(options: AgentOptions): Agent {
  return new NodeAgent(options)
}

/** Lets `work` warm images into a folder on which no agent is running, without listening anywhere. */
export async function withWarming<Result>(
  options: AgentOptions,
  work: (warming: Pick<Warming, 'warm'>) => Promise<Result>,
): Promise<Result> {
  const undo: Undo[] = []
  try {
    const warming = new Warming(warmTargetOf(await openCore(options, undo), options))
    undo.push(() => warming.stop())
    return await work(warming)
  } finally {
    await undone(undo, 0)
  }
}

type Undo = (drainMs: number) => unknown

async function undone(steps: Undo[], drainMs: number): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps.reverse()) {
    try {
      await step(drainMs)
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'The agent did not stop cleanly.')
}

/** What an agent is without its listeners. */
interface Core {
  readonly upstreams: Upstreams
  readonly store: Store
  readonly resolution: CachingResolver
  /** From here on these are asked before upstream is. */
  setPeers(network: PeerNetwork | undefined): void
}

/** Adds to `undo` what undoes each step. */
async function openCore(options: AgentOptions, undo: Undo[]): Promise<Core> {
  const { data, maxBytes, patience } = options
  let peers: PeerNetwork | undefined
  const commons = options.peers === undefined ? undefined : new PeerCommons(() => peers)
  const upstreams = createUpstreams(options.upstreams ?? {}, commons)
  undo.push(() => upstreams.close())
  const store = await openStore({
    path: data,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  })
  undo.push(() => store.close())
  const resolution = new CachingResolver({
    store: store.blobs,
    catalog: store.catalog,
    registry: options.peers === undefined ? upstreams : new PeerRegistry(upstreams, () => peers),
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, ...patience },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: MANIFEST_MEMORY,
    flightLimit: FLIGHTS,
  })
  store.onDropped((digest) => resolution.forget(digest))
  undo.push(() => resolution.flights.stop())
  return {
    upstreams,
    store,
    resolution,
    setPeers: (network) => {
      peers = network
    },
  }
}

function warmTargetOf({ upstreams, store, resolution }: Core, options: AgentOptions): WarmTarget {
  return {
    resolver: resolution,
    defaultNamespace: options.defaultNamespace ?? DEFAULT_NAMESPACE,
    allowed: repositoryFilter(options.allow),
    stored: (digest) => store.blobs.facts(digest),
    flight: (digest) => resolution.flights.get(digest),
    forget: (digest) => resolution.forget(digest),
    tag: (repository, tag) => store.catalog.tag(repository, tag),
    tagTtlMs: (repository) => upstreams.freshness(repository).tagTtlMs,
    limitBytes: () => store.room().limitBytes,
    pin: (digest) => store.pin(digest),
    unpin: (digest) => store.unpin(digest),
  }
}

class NodeAgent implements Agent {
  readonly #options: AgentOptions
  readonly #startedAt = Date.now()
  /** What undoes each step of the start, in the order of the steps. */
  readonly #undo: Undo[] = []
  #addresses: Agent['addresses'] | undefined
  #adminAddress: ListenAddress | undefined
  #network: PeerNetwork | undefined
  #draining = false
  readonly #warnings: string[] = []
  /** Once the agent can be told to warm images. */
  #warming: Warming | undefined
  #leavePeers = async (_: { drainMs: number }): Promise<void> => {}
  #stopping: Promise<void> | undefined

  constructor(options: AgentOptions) {
    this.#options = options
  }

  get addresses(): Agent['addresses'] {
    if (this.#addresses === undefined) throw new Error('the agent listens nowhere before it has started')
    return this.#addresses
  }

  get warnings(): readonly string[] {
    return this.#warnings
  }

  async start(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      await this.stop({ drainMs: 0 })
      throw error
    }
  }

  stop({ drainMs = DRAIN_MS }: { drainMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(drainMs)
    return this.#stopping
  }

  async #start(): Promise<void> {
    const {
      scrubRate = 0,
      listen = DEFAULT_LISTEN,
      admin,
      defaultNamespace = DEFAULT_NAMESPACE,
    } = this.#options
    const core = await openCore(this.#options, this.#undo)
    const { store, resolution } = core
    await this.#joinPeers(core)
    const registry = createRegistryServer({
      ...this.#options,
      listen,
      defaultNamespace,
      resolver: resolution,
    })
    // At the same time, so that all of it is over when the time is.
    this.#undo.push((drainMs) =>
      Promise.all([registry.drain({ timeoutMs: drainMs }), this.#leavePeers({ drainMs })]),
    )
    const reporter = new Reporter(this.#view(core, registry))
    this.#undo.push(() => reporter.close())
    const upkeep = new Upkeep(store, defaultNamespace)
    const warming = new Warming(warmTargetOf(core, this.#options), this.#options.warm, () =>
      this.#network?.warmers(),
    )
    const adminServer =
      admin === undefined
        ? undefined
        : createAdminServer({ listen: admin, reports: reporter, upkeep, warming })
    this.#undo.push(() => adminServer?.stop())
    this.#undo.push(() => warming.stop())
    this.#warming = warming
    this.#adminAddress = await adminServer?.start()
    // Last, so that whoever gets an answer here gets one everywhere.
    this.#addresses = { registry: await registry.start(), admin: this.#adminAddress }
    const isQuiet = (): boolean => resolution.flights.list().length === 0 && store.openBlobs() <= FEW_READS
    if (scrubRate > 0) store.scrub.start({ bytesPerSecond: scrubRate, isQuiet })
    warming.start()
  }

  async #joinPeers({ upstreams, resolution, setPeers }: Core): Promise<void> {
    const { peers, data, version = 'unknown', allow } = this.#options
    if (peers === undefined) return
    const { network, warning, leave, close } = await joinPeers(peers, {
      data,
      version,
      node: {
        holdings: resolution.localContent,
        allowed: repositoryFilter(allow),
        tag: (repository, tag, asking) => resolution.tagHead(repository, tag, asking),
        heard: (host) => upstreams.readRateLimitNotices(host),
        warm: (wish, { signal }) => {
          if (this.#warming === undefined) throw new Failure('busy', 'it is still starting')
          return this.#warming.warm({ ...wish, signal })
        },
      },
    })
    this.#undo.push(close)
    this.#leavePeers = leave
    setPeers(network)
    this.#network = network
    if (warning !== undefined) this.#warnings.push(warning)
  }

  async #stop(drainMs: number): Promise<void> {
    this.#draining = true
    await undone(this.#undo, drainMs)
  }

  #view({ store, upstreams, resolution }: Core, registry: RegistryServer): NodeView {
    const allowed = repositoryFilter(this.#options.allow)
    return {
      ...contentViewOf(store),
      version: this.#options.version ?? 'unknown',
      startedAt: this.#startedAt,
      data: this.#options.data,
      defaultNamespace: this.#options.defaultNamespace ?? DEFAULT_NAMESPACE,
      addresses: () => ({
        registry: this.#addresses && written(this.#addresses.registry),
        admin: this.#adminAddress && written(this.#adminAddress),
      }),
      store: () => ({ ...store.usage(), ...store.room() }),
      clients: () => ({ ...registry.usage(), files: store.openBlobs() }),
      scrub: async () => ({ ...(await store.scrub.state()), bytesPerSecond: this.#options.scrubRate ?? 0 }),
      notReadyReasons: () => {
        if (this.#draining) return ['The agent is shutting down.']
        return this.#addresses === undefined ? ['The registry listener is not up yet.'] : []
      },
      flights: () => resolution.flights.list().map(flightView),
      flight: (digest) => {
        const flight = resolution.flights.get(digest)
        return flight && flightView(flight)
      },
      tag: async (repository, tag) => {
        const record = await store.catalog.tag(repository, tag)
        return record && { repository, tag, ...record }
      },
      seenIn: (digest) => store.repositoriesOf(digest),
      freshness: (repository) => upstreams.freshness(repository),
      hosts: (repository) => (allowed(repository) ? upstreams.hosts(repository) : []),
      isAllowed: allowed,
      peers: () => this.#network?.view(),
      whoHas: async (digest) => this.#network?.whoHas(digest),
      tagOwner: (repository, tag) => this.#network?.tagOwner(repository, tag),
    }
  }
}

function flightView(flight: Flight): FlightView {
  const { want, startedAt, position, size, readers, source } = flight
  return { ...want, startedAt, position, size, waiters: readers.count, source: source?.name }
}

function written({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
