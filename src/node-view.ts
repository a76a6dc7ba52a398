import { hostname } from 'node:os'
import { type AgentOptions, DEFAULT_NAMESPACE, UNKNOWN_VERSION } from './agent-options.ts'
import type { Copies } from './copies/copies.ts'
import type { Flight } from './fetch/flight/flight.ts'
import type { CachingResolver } from './fetch/resolver.ts'
import type { Hosted } from './hosted/open-hosted.ts'
import type { ObjectStore } from './object-store/object-store.ts'
import type { History } from './observe/records/history/history.ts'
import type { Savings } from './observe/records/savings.ts'
import { contentViewOf } from './observe/reports/content-view.ts'
import type { FlightView, NodeView } from './observe/reports/view.ts'
import type { ReplaceableFilter } from './oci/names/repository-filter.ts'
import type { PeerNetwork } from './peers/network.ts'
import type { ListenAddress, RegistryServer } from './registry-api/server.ts'
import type { LocalSources } from './sources/sources.ts'
import type { Store } from './store/store.ts'
import type { Upstreams } from './upstream/upstreams.ts'
import type { Webhooks } from './webhooks/webhooks.ts'

/** How far the agent is in its life. */
export interface AgentState {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  isStopping(): boolean
  /** Each address is undefined until the server listens. */
  addresses(): {
    readonly registry: ListenAddress | undefined
    readonly admin: ListenAddress | undefined
    readonly metrics: ListenAddress | undefined
  }
}

/** The parts of an agent that the reports look at. */
export interface ReportedParts {
  readonly store: Store
  readonly peers: PeerNetwork | undefined
  readonly upstreams: Upstreams
  readonly objectStore: ObjectStore | undefined
  readonly copies: Copies | undefined
  readonly resolver: CachingResolver
  readonly registryServer: RegistryServer
  readonly allowed: ReplaceableFilter
  readonly hosted: Pick<Hosted, 'isHosted'>
  readonly sources: LocalSources
  readonly webhooks: Webhooks
  readonly savings: Savings
  readonly history: History
  readonly warm: NodeView['warm']
}

/** How reports and peers name this node. */
export function nodeNameOf({ nodeName }: Pick<AgentOptions, 'nodeName'>): string {
  return nodeName ?? hostname()
}

/** Shows the reports what they read of a node. */
export function nodeViewOf(
  options: AgentOptions,
  state: AgentState,
  {
    store,
    peers,
    upstreams,
    objectStore,
    copies,
    resolver,
    registryServer,
    hosted,
    sources,
    webhooks,
    savings,
    history,
    warm,
    allowed,
  }: ReportedParts,
): NodeView {
  const { isAllowed } = allowed
  const content = contentViewOf(store)
  return {
    ...content,
    version: options.version ?? UNKNOWN_VERSION,
    name: nodeNameOf(options),
    startedAt: state.startedAt,
    data: options.data,
    defaultNamespace: options.defaultNamespace ?? DEFAULT_NAMESPACE,
    hostedPatterns: options.hosted?.names ?? [],
    hostedBucket: objectStore?.hosted?.name,
    addresses: () => {
      const { registry, admin, metrics } = state.addresses()
      return {
        registry: registry && addressText(registry),
        admin: admin && addressText(admin),
        metrics: metrics && addressText(metrics),
      }
    },
    store: () => ({ ...store.usage(), ...store.room(), hosted: store.hostedUsage() }),
    clients: () => ({ ...registryServer.usage(), files: store.openBlobs() }),
    scrub: async () => ({ ...(await store.scrub.state()), bytesPerSecond: options.scrubRate ?? 0 }),
    pinnedBytes: () => store.pinnedBytes(),
    warm,
    notReadyReasons: () => {
      if (state.isStopping()) return ['The agent is shutting down.']
      return state.addresses().registry === undefined ? ['The registry listener is not up yet.'] : []
    },
    flights: () => resolver.flights.list().map(flightView),
    flight: (digest) => {
      const flight = resolver.flights.get(digest)
      return flight && flightView(flight)
    },
    tag: async (repository, tag) => {
      const pushed = await store.hosted.catalog.tag(repository, tag)
      if (pushed !== undefined) return { ...pushed, checkedAt: pushed.pushedAt, isHosted: true }
      const record = await store.catalog.tag(repository, tag)
      return record && { repository, tag, ...record }
    },
    isHosted: async (repository) => hosted.isHosted(repository) || (await content.isHosted(repository)),
    hostedIn: (digest) => store.hosted.catalog.repositoriesOf(digest),
    seenIn: (digest) => store.repositoriesOf(digest),
    quarantined: (digest) => store.quarantined(digest),
    registryFiles: (repository) => upstreams.checkFiles(repository),
    freshness: (repository) => upstreams.freshness(repository),
    hosts: (repository) => (isAllowed(repository) ? upstreams.hosts(repository) : []),
    isAllowed,
    sources: () => sources.states(),
    saved: () => savings.view(),
    history: () => ({ hour: history.hour(), day: history.day() }),
    webhooks: () => webhooks.states(),
    copies: () => copies?.states() ?? [],
    objectStore: () => objectStore?.state,
    inObjectStore: async (repository, digest) => objectStore?.find(repository, digest),
    peers: () => peers?.report(),
    askPeers: async () => (await peers?.askActivities()) ?? [],
    whoHas: async (digest) => peers?.whoHas(digest),
    tagOwner: (repository, tag) => peers?.client.tagOwner(repository, tag),
  }
}

function flightView(flight: Flight): FlightView {
  const { want, startedAt, position, size, readers, source } = flight
  return { ...want, startedAt, position, size, waiters: readers.count, source: source?.name }
}

function addressText({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
