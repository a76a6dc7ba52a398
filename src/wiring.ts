import { openAccess } from './access/open-access.ts'
import type { AdminServer } from './admin-api/server.ts'
import { type AgentOptions, DEFAULT_LISTEN, DEFAULT_NAMESPACE, UNKNOWN_VERSION } from './agent-options.ts'
import { CheckResolver } from './check-image/check-resolver.ts'
import type { Copies } from './copies/copies.ts'
import { DEFAULT_FLIGHT_POLICY } from './fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from './fetch/freshness.ts'
import { CachingResolver } from './fetch/resolver.ts'
import { type Hosted, openHosted } from './hosted/open-hosted.ts'
import { type ControlServer, createControlServer } from './import/control/control-server.ts'
import { controlSocket } from './import/control/socket-path.ts'
import { StoreTarget } from './import/target/store-target.ts'
import { type LanePool, openLanes } from './lanes/lane-pool.ts'
import type { CleanupStack } from './lib/async/cleanup-stack.ts'
import { Repeated } from './lib/time/repeated.ts'
import { type AgentState, nodeNameOf, nodeViewOf } from './node-view.ts'
import type { ObjectStore } from './object-store/object-store.ts'
import { History } from './observe/records/history/history.ts'
import { Savings } from './observe/records/savings.ts'
import { isCheckRepository } from './oci/names/check-repository.ts'
import { HostedNames } from './oci/names/hosted-names.ts'
import { type Repository, repositoryKey } from './oci/names/repository.ts'
import { ReplaceableFilter } from './oci/names/repository-filter.ts'
import type { PeerNetwork } from './peers/network.ts'
import type { PeerRates } from './peers/peer-options.ts'
import { PeerRegistry } from './peers/peer-registry.ts'
import type { LocalNode } from './peers/server/local-node.ts'
import type { Redirects } from './ports/redirects/redirected-host.ts'
import type { Resolver } from './ports/resolver.ts'
import type { RegistryServer, RegistryServerOptions } from './registry-api/server.ts'
import { LocalResolver } from './sources/local-resolver.ts'
import { type LocalSources, openSources } from './sources/sources.ts'
import { StoringResolver } from './sources/storing-resolver.ts'
import { openStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import { collectAndTell } from './upkeep/hosted-garbage.ts'
import { Upkeep } from './upkeep/upkeep.ts'
import { DEFAULT_DEADLINES } from './upstream/options/options.ts'
import { createBodyClient } from './upstream/transport/body-client.ts'
import { createUpstreams, type Upstreams } from './upstream/upstreams.ts'
import type { WarmTarget } from './warm/content/warm-target.ts'
import { Warming } from './warm/warming.ts'
import { Webhooks } from './webhooks/webhooks.ts'

/** Bounds how many flights are under way at once. */
const MAX_FLIGHTS = 256
/** Bounds the memory for manifests that are requested often. */
const MANIFEST_MEMORY_BYTES = 8 * 1024 * 1024

/** What it takes to fetch content and to warm images, without a server for clients. */
export interface Core {
  readonly store: Store
  readonly peers: PeerNetwork | undefined
  readonly upstreams: Upstreams
  readonly objectStore: ObjectStore | undefined
  readonly resolver: CachingResolver
  readonly hosted: Hosted
  readonly sources: LocalSources
  /** Answers clients: from hosted repositories, the store, the local sources, and then the registry. */
  readonly clientResolver: Resolver
  readonly warming: Warming
  readonly allowed: ReplaceableFilter
  /** Changes the limits of all peers together. */
  limitPeers(rates: PeerRates): void
  /** Each is a sentence about a setting that should be changed. */
  readonly warnings: readonly string[]
}

/** All parts of an agent. The servers do not listen yet, except for the peers' one, which answers `busy`. */
export interface AgentParts extends Core {
  /** What the peers may ask of this node once it has joined them. */
  readonly localNode: LocalNode
  readonly registryServer: RegistryServer
  readonly adminServer: AdminServer | undefined
  /** Serves metrics and health alone. */
  readonly metricsServer: AdminServer | undefined
  readonly controlServer: ControlServer
  /** Collects the garbage of hosted repositories once a day; undefined without rules. */
  readonly collecting: Repeated | undefined
  /** Copies images into buckets; undefined without any to copy. */
  readonly copies: Copies | undefined
}

/**
 * Constructs the core in an order in which each part knows only the parts before it. Adds to `cleanup` what ends each part,
 * so that the parts end in reverse order: the store, which all others write to, is closed last.
 */
export async function openCore(options: AgentOptions, cleanup: CleanupStack): Promise<Core> {
  // 1. The store. Only one agent can open a data folder, so nothing else is begun before.
  const { data, maxBytes, minFree } = options
  const lanes = openLanes({ lanes: options.lanes })
  const store = await openStore({ path: data, lanes, maxBytes, minFree })
  cleanup.add(() => store.close())

  // 2. The peers. Their client exists from here on, and knows no members until the agent has joined.
  const opened = await openSwarm(options, lanes)
  const peers = opened?.network
  cleanup.add(() => peers?.close())

  // 3. The upstreams, which exchange notices about rate limits with the peers.
  const rateLimits = peers?.client.rateLimits
  const upstreams = createUpstreams(options.upstreams ?? {}, { notices: rateLimits, lanes })
  rateLimits?.onReceived((host) => upstreams.readRateLimitNotices(host))
  cleanup.add(() => upstreams.close())

  // 4. The registry that the resolver asks: the peers first, then the object store, then the upstreams.
  const objectStore = await openObjectStore(options, { store, lanes }, cleanup)
  const behindPeers = objectStore?.registry(upstreams) ?? upstreams
  const registry = peers === undefined ? behindPeers : new PeerRegistry(behindPeers, peers)

  // 5. The resolver, which finds content in the store, in a flight, or at the registry.
  const resolver = new CachingResolver({
    store: store.blobs,
    catalog: store.catalog,
    registry,
    flightPolicy: {
      ...DEFAULT_FLIGHT_POLICY,
      ...(options.lazyRanges === undefined ? {} : { lazyRanges: options.lazyRanges }),
      ...options.patience,
    },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: MANIFEST_MEMORY_BYTES,
    flightLimit: MAX_FLIGHTS,
  })
  store.onDropped((digest) => resolver.forget(digest))
  cleanup.add(() => resolver.flights.stop())

  // 6. What the resolver for clients asks: hosted repositories, the store, the local sources, and then the registry.
  const asked = { store, resolver, objectStore }
  const { hosted, sources, clientResolver } = await openClientResolver(options, asked, cleanup)

  // 7. Warming, which pulls images as clients do, stores what a local source has, and asks the peers to do the same.
  const allowed = new ReplaceableFilter(options.allow)
  const target = warmTargetOf(options, { store, upstreams, resolver, clientResolver, allowed })
  const warming = new Warming(target, options.warm, () => peers?.client.warmTargets())
  cleanup.add(() => warming.stop())

  const warnings = [
    ...(opened?.warning === undefined ? [] : [opened.warning]),
    ...(await unservedWarning(hosted)),
  ]
  const limitPeers = (rates: PeerRates): void => opened?.limitTo(rates)
  return {
    ...{ store, peers, upstreams, objectStore, resolver, hosted, sources, clientResolver, warming, allowed },
    limitPeers,
    warnings,
  }
}

/** Constructs the core, and then the servers, which serve what the core has. */
export async function wireAgent(
  options: AgentOptions,
  state: AgentState,
  cleanup: CleanupStack,
): Promise<AgentParts> {
  const { listen = DEFAULT_LISTEN, admin, metricsListen, defaultNamespace = DEFAULT_NAMESPACE } = options
  const core = await openCore(options, cleanup)
  const { createRegistryServer, createAdminServer, Reporter } = await loadServers()
  await core.upstreams.readFiles()
  core.objectStore?.startUploads()
  const { store, peers, upstreams, resolver, hosted, sources, clientResolver, warming } = core
  const { isAllowed } = core.allowed

  // 8. The webhooks, which are told until the last client is drained.
  const webhooks = new Webhooks(options.webhooks ?? [], {
    version: options.version ?? UNKNOWN_VERSION,
    proxies: options.upstreams?.proxies,
    markUsed: (digest) => store.markUsed(digest),
  })
  cleanup.add((limits) => webhooks.close(limits))
  await webhooks.open()

  // 9. The registry API. Clients and peers are drained at the same time, so that both are done after `drainMs`.
  const registryServer = createRegistryServer({
    ...options,
    ...(await accessParts(options, core)),
    listen,
    defaultNamespace,
    redirects: await openRedirects(options, cleanup),
    isAllowed,
    resolver: new CheckResolver(clientResolver),
    hosted: hosted.isServing ? hosted.registry : undefined,
    hostedNames: hosted.isServing ? hosted.names : undefined,
  })
  cleanup.add(({ drainMs }) =>
    Promise.all([registryServer.drain({ timeoutMs: drainMs }), peers?.leave({ drainMs })]),
  )

  // 10. What is copied into buckets, which reads images as clients do.
  const copies = await openCopies(options, core, cleanup)

  // 11. What did not have to come from upstream, what this node has done lately, the reports, and what an operator may do to the stored content.
  const savings = new Savings({
    ledger: store.savings,
    zone: options.peers?.zone,
    isHosted: (repository) => isCheckRepository(repository) || hosted?.registry.isHosted(repository) === true,
    costPerGiB: (registry) => upstreams.costPerGiB(registry),
  })
  cleanup.add(() => savings.close())
  await savings.open()
  const history = new History({ log: store.history, storeBytes: () => store.usage().bytes })
  cleanup.add(() => history.close())
  await history.open()
  const view = nodeViewOf(options, state, {
    ...core,
    registryServer,
    copies,
    sources,
    webhooks,
    savings,
    history,
    warm: () => warming.progress(),
  })
  const reporter = new Reporter(view)
  cleanup.add(() => reporter.close())
  const upkeep = new Upkeep(store, defaultNamespace, hosted.garbage)
  const collecting = hosted.hasRules ? new Repeated((limits) => collectAndTell(upkeep, limits)) : undefined
  cleanup.add(() => collecting?.stop())

  // 12. What the peers may ask of this node.
  const localNode: LocalNode = {
    localContent: resolver.localContent,
    // What is hosted on this node's disk is on this node alone.
    isAllowed: (repository) => (hosted.isHosted(repository) ? hosted.isShared : isAllowed(repository)),
    tag: (repository, tag, tagOptions) => resolver.tagHead(repository, tag, tagOptions),
    warm: (request, { signal }) => warming.warm({ ...request, signal }),
    activity: () => reporter.activity(),
  }

  // 13. The admin API. Warming stops before it, because the admin API waits for requests that are being warmed.
  const administration = { tls: options.adminTls, reports: reporter, upkeep, warming, copies }
  const adminServer =
    admin && createAdminServer({ ...administration, listen: admin, auth: options.adminAuth })
  const metricsServer =
    metricsListen && createAdminServer({ ...administration, listen: metricsListen, offer: 'monitoring' })
  cleanup.add(() => Promise.all([adminServer?.stop(), metricsServer?.stop()]))
  cleanup.add(() => warming.stop())

  // 14. The server of `agent import`, at a socket in the data folder: whoever imports decides what a tag is.
  const controlServer = createControlServer(
    controlSocket(options.data),
    new StoreTarget(store, hosted.isHosted),
  )
  cleanup.add(() => controlServer.stop())

  return {
    ...core,
    localNode,
    registryServer,
    adminServer,
    metricsServer,
    controlServer,
    collecting,
    copies,
  }
}

/** The peers, whose code is loaded by an agent that has any. */
async function openSwarm({ peers, ...options }: AgentOptions, lanes: LanePool) {
  if (peers === undefined) return undefined
  const { openPeers } = await import('./peers/open.ts')
  const { data, version = UNKNOWN_VERSION } = options
  return openPeers(peers, { data, version, name: nodeNameOf(options), lanes })
}

/** The code of the servers, which a command that works on a data folder does not need. */
async function loadServers() {
  const [registryApi, adminApi, reports] = await Promise.all([
    import('./registry-api/server.ts'),
    import('./admin-api/server.ts'),
    import('./observe/reports/reporter.ts'),
  ])
  return { ...registryApi, ...adminApi, ...reports }
}

/**
 * The resolver for clients, with the parts that it asks: it answers for hosted repositories from what was pushed, and asks the
 * local sources between the store and the registry.
 */
async function openClientResolver(
  {
    sources: given = [],
    defaultNamespace = DEFAULT_NAMESPACE,
    hosted: hostedOptions = { names: [] },
  }: AgentOptions,
  { store, resolver, objectStore }: Pick<Core, 'store' | 'resolver' | 'objectStore'>,
  cleanup: CleanupStack,
): Promise<{
  readonly hosted: Hosted
  readonly sources: LocalSources
  readonly clientResolver: Resolver
}> {
  const hosted = openHosted(hostedOptions, store, resolver.localContent, objectStore?.hosted)
  cleanup.add(() => hosted.close())
  const sources = await openSources(given, store, defaultNamespace)
  cleanup.add(() => sources.close())
  const cacheResolver =
    sources.list.length === 0 ? resolver : new LocalResolver(sources, resolver.localContent, resolver)
  return { hosted, sources, clientResolver: hosted.resolver(cacheResolver) }
}

/** Names what was pushed to this node before hosted repositories were moved to a bucket. */
async function unservedWarning(hosted: Hosted): Promise<readonly string[]> {
  const names = (await hosted.unserved()).map(repositoryKey)
  if (names.length === 0) return []
  return [
    `hosted repositories on this node's disk (${names.length}) are not in the object store, and are not served, such as ${names[0]}: start the agent without objectStore.hosted, and copy their images to the bucket with \`agent copy\``,
  ]
}

/** Loads what an object store needs only when there is one. */
async function openObjectStore(
  { objectStore, hosted, patience, upstreams = {}, version = UNKNOWN_VERSION }: AgentOptions,
  { store, lanes }: Pick<Core, 'store'> & { readonly lanes: LanePool },
  cleanup: CleanupStack,
): Promise<ObjectStore | undefined> {
  if (objectStore === undefined) return undefined
  const { ObjectStore } = await import('./object-store/object-store.ts')
  const { caFile, acceptInvalidCerts = false } = objectStore
  const { proxies, lookup } = upstreams
  const deadlines = { ...DEFAULT_DEADLINES, ...upstreams.deadlines }
  const bodies = createBodyClient({ caFile, acceptInvalidCerts, proxies, lookup, deadlines, lanes })
  const names = new HostedNames(hosted?.names ?? [])
  const isHosted = (repository: Repository): boolean => names.isHosted(repository)
  const opened = new ObjectStore(objectStore, {
    userAgent: `leat/${version}`,
    proxies,
    bodies,
    store,
    isHosted,
    answerMs: patience?.sizeTimeoutMs,
  })
  cleanup.add(() => opened.close())
  return opened
}

/** Loads what copies need only when there are some, and reads the files of their secrets. */
async function openCopies(
  {
    copies = [],
    defaultNamespace = DEFAULT_NAMESPACE,
    upstreams,
    peers,
    version = UNKNOWN_VERSION,
  }: AgentOptions,
  core: Pick<Core, 'clientResolver' | 'allowed' | 'peers'>,
  cleanup: CleanupStack,
): Promise<Copies | undefined> {
  if (copies.length === 0) return undefined
  const { Copies } = await import('./copies/copies.ts')
  const opened = new Copies(copies, {
    resolver: core.clientResolver,
    defaultNamespace,
    zone: peers?.zone,
    isAllowed: core.allowed.isAllowed,
    owns: (key) => core.peers?.client.owns(key) ?? true,
    userAgent: `leat/${version}`,
    proxies: upstreams?.proxies,
  })
  cleanup.add(() => opened.stop())
  await opened.open()
  return opened
}

/** Loads what redirected hosts need only when there are some, and reads the files that they name. */
async function openRedirects(
  { redirects = [], upstreams, version = UNKNOWN_VERSION }: AgentOptions,
  cleanup: CleanupStack,
): Promise<Redirects | undefined> {
  if (redirects.length === 0) return undefined
  const { ConfiguredRedirects } = await import('./redirects/redirects.ts')
  const opened = new ConfiguredRedirects(redirects, {
    userAgent: upstreams?.userAgent ?? `leat/${version}`,
    proxies: upstreams?.proxies,
  })
  cleanup.add(() => opened.close())
  await opened.open()
  return opened
}

/** The access control, and the certificate of the server that may ask clients for theirs. */
async function accessParts(
  { auth, tls }: AgentOptions,
  { hosted, allowed, upstreams, clientResolver }: Core,
): Promise<Pick<RegistryServerOptions, 'access' | 'tls'>> {
  const clientCaFile = auth?.clientCertificates?.caFile
  if (clientCaFile !== undefined && tls === undefined)
    throw new Error('client certificates need TLS: give the agent a certificate of its own')
  const access = await openAccess(auth, {
    isHosted: hosted.isHosted,
    isAllowed: (repository) => allowed.isAllowed(repository),
    isPrivate: (repository) => clientResolver.isPrivate(repository),
    pullRights: upstreams.pullRights,
  })
  return { access, ...(tls === undefined ? {} : { tls: { ...tls, clientCaFile } }) }
}

/** Gives the warming what it uses of the node. */
function warmTargetOf(
  options: AgentOptions,
  {
    store,
    upstreams,
    resolver,
    clientResolver,
    allowed,
  }: Pick<Core, 'store' | 'upstreams' | 'resolver' | 'clientResolver' | 'allowed'>,
): WarmTarget {
  return {
    resolver: clientResolver === resolver ? resolver : new StoringResolver(clientResolver, store),
    defaultNamespace: options.defaultNamespace ?? DEFAULT_NAMESPACE,
    allowed: allowed.isAllowed,
    stored: (digest) => store.blobs.facts(digest),
    flight: (digest) => resolver.flights.get(digest),
    forget: (digest) => resolver.forget(digest),
    tag: (repository, tag) => store.catalog.tag(repository, tag),
    tagTtlMs: (repository) => upstreams.freshness(repository).tagTtlMs,
    limitBytes: () => store.room().limitBytes,
    pin: (digest, name) => store.pin(digest, name),
    unpin: (digest, name) => store.unpin(digest, name),
  }
}
