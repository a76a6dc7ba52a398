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
  | RefusedRoute

/** A request that is refused, whatever is stored. */
export interface RefusedRoute {
  readonly kind: 'refused'
  readonly status: 400 | 404 | 405
  readonly code: OciErrorCode
  readonly message: string
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

/** Reads a path from the right, because a repository name may contain `manifests` and `blobs`. */
export function parseRoute(method: string, path: string): Route {
  if (method === 'CONNECT')
    return refusedRoute(405, 'UNSUPPORTED', 'CONNECT is not supported: this is a registry, not a proxy')
  const text = decodePath(path)
  if (text === undefined) return refusedRoute(400, 'NAME_INVALID', 'the path has invalid percent-encoding')
  if (text !== '/v2' && !text.startsWith('/v2/'))
    return refusedRoute(404, 'UNSUPPORTED', 'not found: the registry API is at /v2/')
  if (method !== 'GET' && method !== 'HEAD') {
    return refusedRoute(405, 'UNSUPPORTED', 'this is a read-only mirror; push to the upstream registry')
  }
  if (text.length <= '/v2/'.length) return { kind: 'base' }
  if (text === '/v2/_catalog') return { kind: 'catalog' }

  const lastSlash = text.lastIndexOf('/')
  const resourceSlash = text.lastIndexOf('/', lastSlash - 1)
  const name = text.slice('/v2/'.length, Math.max(resourceSlash, '/v2/'.length))
  const resource = text.slice(resourceSlash + 1, lastSlash)
  const reference = text.slice(lastSlash + 1)
  switch (resource) {
    case 'manifests':
      return manifestRoute(name, reference)
    case 'blobs':
      return digestRoute('blob', name, reference)
    case 'referrers':
      return digestRoute('referrers', name, reference)
    case 'tags':
      if (reference === 'list') return { kind: 'tags', name }
  }
  return refusedRoute(404, 'UNSUPPORTED', 'not found: the registry API has no such endpoint')
}

function manifestRoute(name: string, reference: string): Route {
  if (reference.includes(':')) return digestRoute('manifest', name, reference)
  if (isTag(reference)) return { kind: 'tagged', name, tag: reference }
  // Not 400: the OCI conformance suite expects 404 for a tag that cannot exist.
  return refusedRoute(404, 'MANIFEST_UNKNOWN', 'invalid tag or digest')
}

function digestRoute(kind: 'manifest' | 'blob' | 'referrers', name: string, text: string): Route {
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

function refusedRoute(status: RefusedRoute['status'], code: OciErrorCode, message: string): RefusedRoute {
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

/** RFC 9112 section 3.2.2: a server also accepts the absolute form, such as `http://host/path`. */
function toOriginForm(target: string): string {
  const scheme = target.indexOf('://')
  if (scheme < 0) return target
  const slash = target.indexOf('/', scheme + 3)
  return slash < 0 ? '/' : target.slice(slash)
}
