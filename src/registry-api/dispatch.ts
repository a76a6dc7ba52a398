import type { Repository } from '../oci/names/repository.ts'
import { parseRequestedName } from '../oci/names/requested-name.ts'
import type { Resolver } from '../ports/resolver.ts'
import type { BodyResources } from './answer/body.ts'
import { etagOf } from './answer/content-headers.ts'
import { ifMatchHolds, respondUnmatchedManifest } from './answer/preconditions.ts'
import { type RequestedKind, respondError, respondFailure, respondJson } from './answer/respond.ts'
import { respondBlob } from './endpoints/blobs.ts'
import { respondCatalog } from './endpoints/catalog.ts'
import { respondManifest } from './endpoints/manifests.ts'
import { parseQuery, type Query } from './endpoints/query.ts'
import { respondReferrers } from './endpoints/referrers.ts'
import { respondTags } from './endpoints/tags.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import { parseRoute, parseTarget, type Route } from './route.ts'

/** What endpoints need to answer requests. */
export interface DispatchContext {
  readonly resolver: Resolver
  readonly bodies: BodyResources
  /** The resources for lists, which are in memory while they are sent. */
  readonly lists: BodyResources
  readonly defaultNamespace: string
  readonly isAllowed: (repository: Repository) => boolean
}

type NamedRoute = Extract<Route, { readonly name: string }>

interface RequestTarget {
  readonly path: string
  readonly query: Query
}

const REQUESTED_KINDS: Readonly<Record<Route['kind'], RequestedKind>> = {
  base: 'repository',
  catalog: 'repository',
  manifest: 'manifest',
  tagged: 'manifest',
  blob: 'blob',
  tags: 'repository',
  referrers: 'referrers',
  refused: 'repository',
}

const EMPTY_OBJECT = Buffer.from('{}')

/** Answers a request by the endpoint of its path. Never throws. */
export async function dispatch(exchange: HttpExchange, context: DispatchContext): Promise<void> {
  const { path, query } = parseTarget(exchange.target)
  const route = parseRoute(exchange.method, path)
  exchange.facts.route = route.kind === 'tagged' ? 'manifest' : route.kind
  try {
    await respond(exchange, route, { path, query: parseQuery(query) }, context)
  } catch (error) {
    respondFailureOrEvict(exchange, error, REQUESTED_KINDS[route.kind])
  }
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
  switch (route.kind) {
    case 'refused': {
      const headers = route.status === 405 ? { Allow: 'GET, HEAD' } : {}
      return respondError(exchange, { ...route, headers })
    }
    case 'base':
      // Clients ask `/v2/` to see whether this is a registry, and whether it wants a login; `{}` is what registries send.
      return respondJson(exchange, {}, EMPTY_OBJECT)
    case 'catalog':
      return respondCatalog(exchange, target, context)
    default:
      return respondNamed(exchange, route, target, context)
  }
}

async function respondNamed(
  exchange: HttpExchange,
  route: NamedRoute,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  const { resolver, bodies, lists, defaultNamespace } = context
  const { facts } = exchange
  const parsed = parseRequestedName({ name: route.name, ns: target.query.ns, defaultNamespace })
  if (!parsed.ok)
    return respondError(exchange, { status: 400, code: 'NAME_INVALID', message: parsed.problem })
  const repository = parsed.value
  facts.repository = repository
  if (!context.isAllowed(repository)) {
    const message = "this agent's allow list does not include the repository"
    return respondError(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
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
