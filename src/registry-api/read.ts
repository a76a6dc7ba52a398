import type { Repository } from '../oci/names/repository.ts'
import type { AccessControl } from '../ports/access.ts'
import type { Resolver } from '../ports/resolver.ts'
import type { BodyResources } from './answer/body.ts'
import { etagOf } from './answer/content-headers.ts'
import { ifMatchHolds, respondUnmatchedManifest } from './answer/preconditions.ts'
import { respondBlob } from './endpoints/blobs.ts'
import { respondManifest } from './endpoints/manifests.ts'
import type { Query } from './endpoints/query.ts'
import { respondReferrers } from './endpoints/referrers.ts'
import { respondTags } from './endpoints/tags.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import type { NamedRoute, PushRoute } from './route.ts'

/** A request that reads something of a repository. */
export type ReadRoute = Exclude<NamedRoute, PushRoute>

export interface ReadTarget {
  readonly path: string
  readonly query: Query
}

export interface ReadResources {
  readonly resolver: Resolver
  readonly bodies: BodyResources
  readonly lists: BodyResources
  readonly access: AccessControl
}

/** Answers a request for what a repository has, by the endpoint of its path. */
export async function respondRead(
  exchange: HttpExchange,
  route: ReadRoute,
  repository: Repository,
  target: ReadTarget,
  resources: ReadResources,
): Promise<void> {
  const { resolver, bodies, lists } = resources
  switch (route.kind) {
    case 'manifest':
      if (!ifMatchHolds(exchange.headers['if-match'], etagOf(route.digest)))
        return respondUnmatchedManifest(exchange, repository, route.digest, resolver)
      return respondManifest(
        exchange,
        await resolver.manifestByDigest(repository, route.digest, exchange),
        bodies,
      )
    case 'tagged':
      return respondManifest(exchange, await resolver.manifestByTag(repository, route.tag, exchange), bodies)
    case 'blob':
      return respondBlob(exchange, repository, route.digest, { resolver, ...bodies })
    case 'tags':
      return respondTags(exchange, repository, { ...target, name: route.name }, resources)
    case 'referrers':
      return respondReferrers(exchange, repository, route.digest, { ...target, resolver, lists })
  }
}

/** The tag or digest that a request names. */
export function referenceOf(route: ReadRoute): string | undefined {
  switch (route.kind) {
    case 'tags':
      return undefined
    case 'tagged':
      return route.tag
    default:
      return route.digest
  }
}
