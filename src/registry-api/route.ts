import { type Digest, parseDigest } from '../oci/digest.ts'
import type { OciErrorCode } from '../oci/errors.ts'
import { isTag } from '../oci/names/names.ts'

/**
 * What a request asks for. `name` is as in the path; `parseRequestedName` in oci/names/requested-name.ts finds its
 * repository.
 */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tagged'; readonly name: string; readonly tag: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | PushRoute
  | RefusedRoute

/** A request that changes a hosted repository, or asks for the state of an upload to one. */
export type PushRoute =
  | { readonly kind: 'begin-upload'; readonly name: string }
  | {
      readonly kind: 'upload-state' | 'append-upload' | 'finish-upload' | 'cancel-upload'
      readonly name: string
      readonly id: string
    }
  | { readonly kind: 'push-manifest' | 'delete-manifest'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'push-tag' | 'delete-tag'; readonly name: string; readonly tag: string }
  | { readonly kind: 'delete-blob'; readonly name: string; readonly digest: Digest }

export type NamedRoute = Extract<Route, { readonly name: string }>

/** A request that is refused, whatever is stored. */
export interface RefusedRoute {
  readonly kind: 'refused'
  readonly status: 400 | 404 | 405
  readonly code: OciErrorCode
  readonly message: string
  /** The methods that the path has, for 405. */
  readonly allow?: string
}

/** The path and the query of a request target; `path` is not decoded, because links repeat it. */
export interface Target {
  readonly path: string
  readonly query: string
}

export function parseTarget(target: string): Target {
  const originForm = target.startsWith('/') ? target : toOriginForm(target)
  const queryMark = originForm.indexOf('?')
  return queryMark < 0
    ? { path: originForm, query: '' }
    : { path: originForm.slice(0, queryMark), query: originForm.slice(queryMark + 1) }
}

/** What the id of an upload can be. */
const UPLOAD_ID = /^[0-9a-f]{32,128}$/

/** Reads a path from the right, because a repository name may contain `manifests` and `blobs`. */
export function parseRoute(method: string, path: string): Route {
  if (method === 'CONNECT')
    return refusedRoute(405, 'UNSUPPORTED', 'CONNECT is not supported: this is a registry, not a proxy')
  const text = decodePath(path)
  if (text === undefined) return refusedRoute(400, 'NAME_INVALID', 'the path has invalid percent-encoding')
  if (text !== '/v2' && !text.startsWith('/v2/'))
    return refusedRoute(404, 'UNSUPPORTED', 'not found: the registry API is at /v2/')
  if (text.length <= '/v2/'.length) return readRoute(method, () => ({ kind: 'base' }))
  if (text === '/v2/_catalog') return readRoute(method, () => ({ kind: 'catalog' }))

  const lastSlash = text.lastIndexOf('/')
  const resourceSlash = text.lastIndexOf('/', lastSlash - 1)
  const name = text.slice('/v2/'.length, Math.max(resourceSlash, '/v2/'.length))
  const resource = text.slice(resourceSlash + 1, lastSlash)
  const reference = text.slice(lastSlash + 1)
  switch (resource) {
    case 'manifests':
      return manifestRoute(method, name, reference)
    case 'blobs':
      return reference === 'uploads' ? beginRoute(method, name) : blobRoute(method, name, reference)
    case 'uploads':
      if (name.endsWith('/blobs')) return uploadRoute(method, name.slice(0, -'/blobs'.length), reference)
      break
    case 'referrers':
      return readRoute(method, () => digestRoute('referrers', name, reference))
    case 'tags':
      if (reference === 'list') return readRoute(method, () => ({ kind: 'tags', name }))
  }
  return refusedRoute(404, 'UNSUPPORTED', 'not found: the registry API has no such endpoint')
}

function readRoute(method: string, route: () => Route): Route {
  return isRead(method) ? route() : wrongMethod('GET, HEAD')
}

function manifestRoute(method: string, name: string, reference: string): Route {
  const isDigest = reference.includes(':')
  // Not 400: the OCI conformance suite expects 404 for a tag that cannot exist.
  if (!isDigest && !isTag(reference)) return refusedRoute(404, 'MANIFEST_UNKNOWN', 'invalid tag or digest')
  if (isRead(method))
    return isDigest ? digestRoute('manifest', name, reference) : { kind: 'tagged', name, tag: reference }
  switch (method) {
    case 'PUT':
      return isDigest
        ? digestRoute('push-manifest', name, reference)
        : { kind: 'push-tag', name, tag: reference }
    case 'DELETE':
      return isDigest
        ? digestRoute('delete-manifest', name, reference)
        : { kind: 'delete-tag', name, tag: reference }
  }
  return wrongMethod('GET, HEAD, PUT, DELETE')
}

function blobRoute(method: string, name: string, text: string): Route {
  if (isRead(method)) return digestRoute('blob', name, text)
  return method === 'DELETE' ? digestRoute('delete-blob', name, text) : wrongMethod('GET, HEAD, DELETE')
}

function uploadRoute(method: string, name: string, id: string): Route {
  if (id === '') return beginRoute(method, name)
  if (!UPLOAD_ID.test(id)) return refusedRoute(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload')
  if (isRead(method)) return { kind: 'upload-state', name, id }
  switch (method) {
    case 'PATCH':
      return { kind: 'append-upload', name, id }
    case 'PUT':
      return { kind: 'finish-upload', name, id }
    case 'DELETE':
      return { kind: 'cancel-upload', name, id }
  }
  return wrongMethod('GET, HEAD, PATCH, PUT, DELETE')
}

function beginRoute(method: string, name: string): Route {
  return method === 'POST' ? { kind: 'begin-upload', name } : wrongMethod('POST')
}

type DigestKind = Extract<Route, { readonly digest: Digest }>['kind']

function digestRoute(kind: DigestKind, name: string, text: string): Route {
  const digest = parseDigest(text)
  if (digest === undefined) {
    return refusedRoute(
      400,
      'DIGEST_INVALID',
      'invalid digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>',
    )
  }
  return { kind, name, digest }
}

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

export function wrongMethod(allow: string): RefusedRoute {
  const message = `this path of the registry API has only the methods ${allow}`
  return { kind: 'refused', status: 405, code: 'UNSUPPORTED', message, allow }
}

export function refusedRoute(
  status: RefusedRoute['status'],
  code: OciErrorCode,
  message: string,
): RefusedRoute {
  return { kind: 'refused', status, code, message }
}

function decodePath(path: string): string | undefined {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const PUSH_KINDS: Readonly<Record<PushRoute['kind'], true>> = {
  'begin-upload': true,
  'upload-state': true,
  'append-upload': true,
  'finish-upload': true,
  'cancel-upload': true,
  'push-manifest': true,
  'push-tag': true,
  'delete-manifest': true,
  'delete-tag': true,
  'delete-blob': true,
}

export function isPushRoute(route: Route): route is PushRoute {
  return Object.hasOwn(PUSH_KINDS, route.kind)
}

/** RFC 9112 section 3.2.2: a server also accepts the absolute form, such as `http://host/path`. */
function toOriginForm(target: string): string {
  const scheme = target.indexOf('://')
  if (scheme < 0) return target
  const slash = target.indexOf('/', scheme + 3)
  return slash < 0 ? '/' : target.slice(slash)
}
