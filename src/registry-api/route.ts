import { type Digest, parseDigest } from '../oci/digest.ts'
import type { ErrorCode } from '../oci/errors.ts'
import { isTag } from '../oci/names/names.ts'

/** What a request asks for. `name` is as in the path; which repository that is, is another question (oci/addressing.ts). */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tagged'; readonly name: string; readonly tag: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | Refused

/** A request that cannot be answered, whatever is stored. */
export interface Refused {
  readonly kind: 'refused'
  readonly status: 400 | 404 | 405
  readonly code: ErrorCode
  readonly message: string
}

/** A request target in its two halves; `path` as it was sent, for links. */
export interface Target {
  readonly path: string
  readonly query: string
}

export function parseTarget(target: string): Target {
  const origin = target.startsWith('/') ? target : withoutAuthority(target)
  const mark = origin.indexOf('?')
  return mark < 0
    ? { path: origin, query: '' }
    : { path: origin.slice(0, mark), query: origin.slice(mark + 1) }
}

/** Read from the right: a name may contain `manifests` and `blobs`. */
export function parseRoute(method: string, path: string): Route {
  if (method === 'CONNECT') return refused(405, 'UNSUPPORTED', 'this is a registry, not a proxy')
  const text = decoded(path)
  if (text === undefined)
    return refused(400, 'NAME_INVALID', 'the path is not percent-encoded as it should be')
  if (text !== '/v2' && !text.startsWith('/v2/'))
    return refused(404, 'UNSUPPORTED', 'the registry is at /v2/')
  if (method !== 'GET' && method !== 'HEAD') {
    return refused(405, 'UNSUPPORTED', 'this is a read-only mirror: push to the registry itself')
  }
  if (text.length <= '/v2/'.length) return { kind: 'base' }
  if (text === '/v2/_catalog') return { kind: 'catalog' }

  const lastSlash = text.lastIndexOf('/')
  const verbSlash = text.lastIndexOf('/', lastSlash - 1)
  const name = text.slice('/v2/'.length, Math.max(verbSlash, '/v2/'.length))
  const verb = text.slice(verbSlash + 1, lastSlash)
  const reference = text.slice(lastSlash + 1)
  switch (verb) {
    case 'manifests':
      return manifest(name, reference)
    case 'blobs':
      return byDigest('blob', name, reference)
    case 'referrers':
      return byDigest('referrers', name, reference)
    case 'tags':
      if (reference === 'list') return { kind: 'tags', name }
  }
  return refused(404, 'UNSUPPORTED', 'there is nothing at this path')
}

function manifest(name: string, reference: string): Route {
  if (reference.includes(':')) return byDigest('manifest', name, reference)
  if (isTag(reference)) return { kind: 'tagged', name, tag: reference }
  // Not 400: to the conformance suite, a tag that cannot exist is one that does not.
  return refused(404, 'MANIFEST_UNKNOWN', 'this is neither a tag nor a digest')
}

function byDigest(kind: 'manifest' | 'blob' | 'referrers', name: string, text: string): Route {
  const digest = parseDigest(text)
  if (digest === undefined) {
    return refused(400, 'DIGEST_INVALID', 'a digest is sha256: and 64 hex digits, or sha512: and 128')
  }
  return { kind, name, digest }
}

function refused(status: Refused['status'], code: ErrorCode, message: string): Refused {
  return { kind: 'refused', status, code, message }
}

function decoded(path: string): string | undefined {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** RFC 9112 section 3.2.2: a server accepts `http://host/path` too. */
function withoutAuthority(target: string): string {
  const scheme = target.indexOf('://')
  if (scheme < 0) return target
  const slash = target.indexOf('/', scheme + 3)
  return slash < 0 ? '/' : target.slice(slash)
}
