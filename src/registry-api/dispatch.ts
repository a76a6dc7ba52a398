import { addressed } from '../oci/names/addressing.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Resolver } from '../ports/answer.ts'
import type { BodyDesk } from './answer/body.ts'
import { etagOf } from './answer/content-headers.ts'
import type { Exchange } from './answer/exchange.ts'
import { isMatched, respondUnmatched } from './answer/preconditions.ts'
import { type Asked, fail, refuse } from './answer/respond.ts'
import { respondBase } from './base.ts'
import { respondBlob } from './endpoints/blobs.ts'
import { respondCatalog } from './endpoints/catalog.ts'
import { respondManifest } from './endpoints/manifests.ts'
import { parseQuery, type Query } from './endpoints/query.ts'
import { respondReferrers } from './endpoints/referrers.ts'
import { respondTags } from './endpoints/tags.ts'
import { parseRoute, parseTarget, type Route } from './route.ts'

export interface Reception {
  readonly resolver: Resolver
  readonly bodies: BodyDesk
  /** For lists, which are in memory while they are sent. */
  readonly lists: BodyDesk
  readonly defaultNamespace: string
  readonly allowed: (repository: Repository) => boolean
}

type NamedRoute = Extract<Route, { readonly name: string }>

const ASKED: Readonly<Record<Route['kind'], Asked>> = {
  base: 'repository',
  catalog: 'repository',
  manifest: 'manifest',
  tagged: 'manifest',
  blob: 'blob',
  tags: 'repository',
  referrers: 'referrers',
  refused: 'repository',
}

/** Hears what a request wants and sends it to whoever answers that. Never throws. */
export async function receive(exchange: Exchange, reception: Reception): Promise<void> {
  const { path, query } = parseTarget(exchange.target)
  const route = parseRoute(exchange.method, path)
  exchange.findings.route = route.kind === 'tagged' ? 'manifest' : route.kind
  try {
    await answer(exchange, route, { path, query: parseQuery(query) }, reception)
  } catch (error) {
    failOrEvict(exchange, error, ASKED[route.kind])
  }
}

/** Whoever cannot even be told of a failure is cut off. */
function failOrEvict(...failed: Parameters<typeof fail>): void {
  try {
    fail(...failed)
  } catch {
    const [exchange] = failed
    exchange.evict()
  }
}

async function answer(
  exchange: Exchange,
  route: Route,
  asked: { path: string; query: Query },
  reception: Reception,
): Promise<void> {
  switch (route.kind) {
    case 'refused': {
      const headers = route.status === 405 ? { Allow: 'GET, HEAD' } : {}
      return refuse(exchange, { ...route, headers })
    }
    case 'base':
      return respondBase(exchange)
    case 'catalog':
      return respondCatalog(exchange, asked, reception)
    default:
      return answerNamed(exchange, route, asked, reception)
  }
}

async function answerNamed(
  exchange: Exchange,
  route: NamedRoute,
  asked: { path: string; query: Query },
  reception: Reception,
): Promise<void> {
  const { resolver, bodies, lists, defaultNamespace } = reception
  const { findings } = exchange
  const found = addressed({ name: route.name, ns: asked.query.ns, defaultNamespace })
  if (!found.ok) return refuse(exchange, { status: 400, code: 'NAME_INVALID', message: found.problem })
  const repository = found.value
  findings.repository = repository
  if (!reception.allowed(repository)) {
    const message = 'this agent is set up not to serve this repository'
    return refuse(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
  switch (route.kind) {
    case 'manifest':
      findings.reference = route.digest
      if (!isMatched(exchange.headers['if-match'], etagOf(route.digest)))
        return respondUnmatched(exchange, repository, route.digest, resolver)
      return respondManifest(
        exchange,
        await resolver.manifestByDigest(repository, route.digest, exchange),
        bodies,
      )
    case 'tagged':
      findings.reference = route.tag
      return respondManifest(exchange, await resolver.manifestByTag(repository, route.tag, exchange), bodies)
    case 'blob':
      findings.reference = route.digest
      return respondBlob(exchange, repository, route.digest, { resolver, ...bodies })
    case 'tags':
      return respondTags(exchange, repository, { ...asked, name: route.name }, reception)
    case 'referrers':
      findings.reference = route.digest
      return respondReferrers(exchange, repository, route.digest, { ...asked, resolver, lists })
  }
}
