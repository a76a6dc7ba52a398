import type { OutgoingHttpHeaders } from 'node:http'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import type { OciErrorCode } from '../oci/errors.ts'
import type { HostedNames } from '../oci/names/hosted-names.ts'
import type { Repository } from '../oci/names/repository.ts'
import { parseRequestedName } from '../oci/names/requested-name.ts'
import type { AccessControl, Decision } from '../ports/access.ts'
import type { RedirectedHost, Redirects } from '../ports/redirects/redirected-host.ts'
import type { Resolver } from '../ports/resolver.ts'
import { admit } from './admission.ts'
import type { BodyResources } from './answer/body.ts'
import { type RequestedKind, respondError, respondFailure, respondJson } from './answer/respond.ts'
import { respondCatalog } from './endpoints/catalog.ts'
import type { PushResources } from './endpoints/push/push-context.ts'
import { type PushQuery, parsePushQuery } from './endpoints/push/push-query.ts'
import { parseQuery, type Query } from './endpoints/query.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import { respondPush } from './push.ts'
import { referenceOf, respondRead } from './read.ts'
import { respondHealth, respondRedirected, respondWebPage } from './redirected.ts'
import { isHealthPath, parseRedirectedRoute, type ServedRoute } from './redirected-route.ts'
import { isPushRoute, isRead, type NamedRoute, type PushRoute, parseRoute, parseTarget } from './route.ts'
import { type MountedBlob, wishesOf } from './wishes.ts'

/** What endpoints need to answer requests. */
export interface DispatchContext {
  readonly resolver: Resolver
  readonly bodies: BodyResources
  /** The resources for lists, which are in memory while they are sent. */
  readonly lists: BodyResources
  readonly defaultNamespace: string
  readonly isAllowed: (repository: Repository) => boolean
  /** Without it no repository takes pushes. */
  readonly push: PushResources | undefined
  readonly hostedNames: HostedNames | undefined
  readonly access: AccessControl
  /** The hosts that lead to a registry elsewhere; without it there are none. */
  readonly redirects: Redirects | undefined
}

interface RequestTarget {
  readonly path: string
  readonly query: Query
  /** The query as the client has sent it. */
  readonly queryText: string
  /** The redirected host to which the client has sent the request. */
  readonly redirected: RedirectedHost | undefined
}

const REQUESTED_KINDS: Readonly<Record<ServedRoute['kind'], RequestedKind>> = {
  base: 'repository',
  catalog: 'repository',
  page: 'repository',
  health: 'repository',
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
  const query = parseQuery(queryText)
  const redirected = context.redirects?.find({ host: exchange.host, ns: query.ns })
  const route = routeOf(exchange.method, path, redirected, context)
  exchange.facts.route = routeLabel(route)
  const mayReceive = 'name' in route && isPushRoute(route)
  if (!mayReceive) exchange.dropBody()
  try {
    await respond(exchange, route, { path, queryText, query, redirected }, context)
  } catch (error) {
    respondFailureOrEvict(exchange, error, REQUESTED_KINDS[route.kind])
  }
  if (mayReceive) exchange.dropBody()
}

function routeOf(
  method: string,
  path: string,
  redirected: RedirectedHost | undefined,
  { redirects }: DispatchContext,
): ServedRoute {
  if (redirected !== undefined) return parseRedirectedRoute(method, path)
  const isHealth = redirects !== undefined && isRead(method) && isHealthPath(path)
  return isHealth ? { kind: 'health' } : parseRoute(method, path)
}

/** The route as a label of metrics: a manifest is the same by tag and by digest. */
function routeLabel({ kind }: ServedRoute): string {
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
  route: ServedRoute,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  if ('name' in route) return respondNamed(exchange, route, target, context)
  if (route.kind === 'health') return respondHealth(exchange)
  const admitted = await admit(exchange, context.access, wishesOf(route), REQUESTED_KINDS[route.kind])
  if (admitted === undefined) return
  switch (route.kind) {
    case 'refused': {
      const { allow } = route
      return respondError(exchange, { ...route, headers: allow === undefined ? {} : { Allow: allow } })
    }
    case 'base':
      // Clients ask `/v2/` to see whether this is a registry, and whether it wants a login; `{}` is what registries send.
      return respondJson(exchange, challengesIn(admitted), EMPTY_OBJECT)
    case 'catalog':
      return respondCatalog(exchange, target, context)
    case 'page':
      if (target.redirected !== undefined) respondWebPage(exchange, target.redirected)
  }
}

async function respondNamed(
  exchange: HttpExchange,
  route: NamedRoute,
  target: RequestTarget,
  context: DispatchContext,
): Promise<void> {
  const { redirected } = target
  const named =
    redirected === undefined
      ? repositoryOf(exchange, route.name, target.query, context)
      : repositoryBehind(redirected, route.name)
  const pushQuery = isPushRoute(route) ? parsePushQuery(target.queryText) : undefined
  const mounted =
    route.kind === 'begin-upload' && pushQuery?.ok
      ? mountedBlob(exchange, pushQuery.value, target.query, context)
      : undefined
  const wishes = named.ok ? wishesOf(route, named.value, mounted) : []
  if (!(await admit(exchange, context.access, wishes, REQUESTED_KINDS[route.kind]))) return
  if (!named.ok) return respondError(exchange, { status: 400, code: 'NAME_INVALID', message: named.problem })
  const repository = named.value
  exchange.facts.repository = repository
  if (target.query.ns && redirected === undefined) exchange.namespace = target.query.ns
  if (!context.isAllowed(repository)) {
    const message = "this agent's allow list does not include the repository"
    return respondError(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
  if (isPushRoute(route)) {
    const { push } = context
    if (push?.hosted.isHosted(repository) !== true) return respondNotHosted(exchange)
    const query = pushQuery ?? parsePushQuery(target.queryText)
    if (!query.ok)
      return respondError(exchange, { status: 400, code: queryErrorCode(route), message: query.problem })
    const pushTarget = {
      repository,
      name: route.name,
      ns: target.query.ns,
      query: query.value,
      from: mounted?.from,
    }
    return respondPush(exchange, route, pushTarget, push)
  }
  exchange.facts.reference = referenceOf(route)
  return redirected === undefined
    ? respondRead(exchange, route, repository, target, context)
    : respondRedirected(exchange, redirected, route, repository, target, context)
}

function challengesIn({ challenges }: Extract<Decision, { kind: 'allowed' }>): OutgoingHttpHeaders {
  return challenges === undefined ? {} : { 'WWW-Authenticate': [...challenges] }
}

/** The repository that a name on a redirected host means. */
function repositoryBehind(host: RedirectedHost, name: string): Parsed<Repository> {
  const repository = host.repositoryOf(name)
  return repository === undefined ? refused('this is not a repository name') : parsed(repository)
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

/** The blob that the client wants to mount; undefined when it names no repository that can exist. */
function mountedBlob(
  exchange: HttpExchange,
  { mount }: PushQuery,
  query: Query,
  context: DispatchContext,
): MountedBlob | undefined {
  if (mount === undefined) return undefined
  const named = repositoryOf(exchange, mount.from, query, context)
  return named.ok ? { from: named.value, digest: mount.digest } : undefined
}

/** The query of a manifest has tags, that of an upload has digests. */
function queryErrorCode({ kind }: PushRoute): OciErrorCode {
  return kind === 'push-manifest' || kind === 'push-tag' ? 'MANIFEST_INVALID' : 'DIGEST_INVALID'
}

function respondNotHosted(exchange: HttpExchange): void {
  const message =
    'this agent takes no pushes to this repository: list it under `hosted` in the settings, or push to the registry itself'
  respondError(exchange, { status: 405, code: 'UNSUPPORTED', message, headers: { Allow: 'GET, HEAD' } })
}
