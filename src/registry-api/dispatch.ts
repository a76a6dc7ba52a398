import { type Parsed, parsed } from '../lib/parsed.ts'
import type { HostedNames } from '../oci/names/hosted-names.ts'
import type { Repository } from '../oci/names/repository.ts'
import { parseRequestedName } from '../oci/names/requested-name.ts'
import type { AccessControl } from '../ports/access.ts'
import type { HostedRegistry } from '../ports/hosted.ts'
import type { Resolver } from '../ports/resolver.ts'
import { isAdmitted } from './admission.ts'
import type { BodyResources } from './answer/body.ts'
import { etagOf } from './answer/content-headers.ts'
import { ifMatchHolds, respondUnmatchedManifest } from './answer/preconditions.ts'
import { type RequestedKind, respondError, respondFailure, respondJson } from './answer/respond.ts'
import { respondBlob } from './endpoints/blobs.ts'
import { respondCatalog } from './endpoints/catalog.ts'
import { respondManifest } from './endpoints/manifests.ts'
import { parsePushQuery } from './endpoints/push/push-query.ts'
import { parseQuery, type Query } from './endpoints/query.ts'
import { respondReferrers } from './endpoints/referrers.ts'
import { respondTags } from './endpoints/tags.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import { isPushRoute, type NamedRoute, type PushRoute, parseRoute, parseTarget, type Route } from './route.ts'
import { wishesOf } from './wishes.ts'

/** What endpoints need to answer requests. */
export interface DispatchContext {
  readonly resolver: Resolver
  readonly bodies: BodyResources
  /** The resources for lists, which are in memory while they are sent. */
  readonly lists: BodyResources
  readonly defaultNamespace: string
  readonly isAllowed: (repository: Repository) => boolean
  /** Without it no repository takes pushes. */
  readonly hosted: HostedRegistry | undefined
  readonly hostedNames: HostedNames | undefined
  /** Without it every client may do everything. */
  readonly access: AccessControl | undefined
}

interface RequestTarget {
  readonly path: string
  readonly query: Query
  /** The query as the client has sent it. */
  readonly queryText: string
}

const REQUESTED_KINDS: Readonly<Record<Route['kind'], RequestedKind>> = {
  base: 'repository',
  catalog: 'repository',
  manifest: 'manifest',
  tagged: 'manifest',
  blob: 'blob',
  tags: 'repository',
  referrers: 'referrers',
  'begin-upload': 'upload',
  'upload-state': 'upload',
  'append-upload': 'upload',
  'finish-upload': 'upload',
  'cancel-upload': 'upload',
  'push-manifest': 'upload',
  'push-tag': 'upload',
  'delete-manifest': 'manifest',
  'delete-tag': 'manifest',
  'delete-blob': 'blob',
  refused: 'repository',
}

const EMPTY_OBJECT = Buffer.from('{}')

/** Answers a request by the endpoint of its path. Never throws. */
export async function dispatch(exchange: HttpExchange, context: DispatchContext): Promise<void> {
  const { path, query: queryText } = parseTarget(exchange.target)
  const route = parseRoute(exchange.method, path)
  exchange.facts.route = routeLabel(route)
  try {
    await respond(exchange, route, { path, queryText, query: parseQuery(queryText) }, context)
  } catch (error) {
    respondFailureOrEvict(exchange, error, REQUESTED_KINDS[route.kind])
  }
}

/** The route as a label of metrics: a manifest is the same by tag and by digest. */
function routeLabel({ kind }: Route): string {
  if (kind === 'tagged') return 'manifest'
  return kind === 'push-tag' ? 'push-manifest' : kind
}

/** Evicts the exchange when even the error cannot be sent. */
function respondFailureOrEvict(...args: Parameters<typeof respondFailure>): void {
  try {
    respondFailure(...args)
  } catch {
    const [exchange] = args
    exchange.evict()
  }
}

async function respond(
  exchange: HttpExchange,
  route: Route,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  if ('name' in route) return respondNamed(exchange, route, target, context)
  const { access } = context
  if (access !== undefined && !(await isAdmitted(exchange, access, wishesOf(route.kind)))) return
  switch (route.kind) {
    case 'refused': {
      const { allow } = route
      return respondError(exchange, { ...route, headers: allow === undefined ? {} : { Allow: allow } })
    }
    case 'base':
      // Clients ask `/v2/` to see whether this is a registry, and whether it wants a login; `{}` is what registries send.
      return respondJson(exchange, {}, EMPTY_OBJECT)
    case 'catalog':
      return respondCatalog(exchange, target, context)
  }
}

async function respondNamed(
  exchange: HttpExchange,
  route: NamedRoute,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  const { access } = context
  const named = repositoryOf(exchange, route.name, target.query, context)
  const push = isPushRoute(route) ? { route, query: parsePushQuery(target.queryText) } : undefined
  const from = push?.query.ok && push.route.kind === 'begin-upload' ? push.query.value.mount?.from : undefined
  const mounted = from === undefined ? undefined : repositoryOf(exchange, from, target.query, context)
  if (access !== undefined) {
    const wishes = named.ok ? wishesOf(route.kind, named.value, mounted?.ok ? mounted.value : undefined) : []
    if (!(await isAdmitted(exchange, access, wishes))) return
  }
  if (!named.ok) return respondError(exchange, { status: 400, code: 'NAME_INVALID', message: named.problem })
  const repository = named.value
  exchange.facts.repository = repository
  if (!context.isAllowed(repository)) {
    const message = "this agent's allow list does not include the repository"
    return respondError(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
  if (isPushRoute(route)) return respondNotHosted(exchange)
  return respondRead(exchange, route, repository, target, context)
}

async function respondRead(
  exchange: HttpExchange,
  route: Exclude<NamedRoute, PushRoute>,
  repository: Repository,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  const { resolver, bodies, lists } = context
  const { facts } = exchange
  switch (route.kind) {
    case 'manifest':
      facts.reference = route.digest
      if (!ifMatchHolds(exchange.headers['if-match'], etagOf(route.digest)))
        return respondUnmatchedManifest(exchange, repository, route.digest, resolver)
      return respondManifest(
        exchange,
        await resolver.manifestByDigest(repository, route.digest, exchange),
        bodies,
      )
    case 'tagged':
      facts.reference = route.tag
      return respondManifest(exchange, await resolver.manifestByTag(repository, route.tag, exchange), bodies)
    case 'blob':
      facts.reference = route.digest
      return respondBlob(exchange, repository, route.digest, { resolver, ...bodies })
    case 'tags':
      return respondTags(exchange, repository, { ...target, name: route.name }, context)
    case 'referrers':
      facts.reference = route.digest
      return respondReferrers(exchange, repository, route.digest, { ...target, resolver, lists })
  }
}

/** The repository that a name in a path, or in the query of a mount, means. */
function repositoryOf(
  { host }: HttpExchange,
  name: string,
  { ns }: Query,
  { hostedNames, defaultNamespace }: DispatchContext,
): Parsed<Repository> {
  const own = hostedNames?.find({ name, ns, host })
  return own === undefined ? parseRequestedName({ name, ns, defaultNamespace }) : parsed(own)
}

function respondNotHosted(exchange: HttpExchange): void {
  const message =
    'this agent takes no pushes to this repository: list it under `hosted` in the settings, or push to the registry itself'
  respondError(exchange, { status: 405, code: 'UNSUPPORTED', message, headers: { Allow: 'GET, HEAD' } })
}
