import { isPagePath, type PagePath } from './page.ts'

/** What a look is taken at. */
export type Look =
  | { readonly kind: 'metrics' | 'healthz' | 'status' | 'pulls' | 'blobs' | 'images' | 'unknown' }
  | { readonly kind: 'page'; readonly path: PagePath }
  /** `warm`: only when all that is to be kept warm is here, too. */
  | { readonly kind: 'readyz'; readonly warm: boolean }
  | { readonly kind: 'why'; readonly subject: string }
  | { readonly kind: 'refused'; readonly problem: string }

export type Change = 'gc' | 'verify' | 'warm' | 'pin' | 'unpin' | 'remove'

/** What was asked of the admin server. */
export type AdminRoute =
  | Look
  | { readonly kind: 'change'; readonly change: Change }
  /** There is something, but not to be had by this method. */
  | { readonly kind: 'method'; readonly allow: string }

const CHANGES: Readonly<Record<string, Readonly<Record<string, Change>>>> = {
  '/api/v1/gc': { POST: 'gc' },
  '/api/v1/verify': { POST: 'verify' },
  '/api/v1/warm': { POST: 'warm' },
  '/api/v1/pins': { POST: 'pin', DELETE: 'unpin' },
  '/api/v1/images': { DELETE: 'remove' },
}
const LOOKING = ['GET', 'HEAD']

/** The longest reference that means something: host and name, tag, digest. */
const LONGEST_SUBJECT = 255 + 1 + 128 + 1 + 7 + 128

/** `target` is the request's target as it came. */
export function adminRoute(method: string, target: string): AdminRoute {
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const changes = Object.hasOwn(CHANGES, path) ? CHANGES[path] : undefined
  const change = changes !== undefined && Object.hasOwn(changes, method) ? changes[method] : undefined
  if (change !== undefined) return { kind: 'change', change }
  const look = lookAt(path, new URLSearchParams(question < 0 ? '' : target.slice(question + 1)))
  const isLook = look.kind !== 'unknown'
  if (LOOKING.includes(method) && (isLook || changes === undefined)) return look
  const allowed = [...(isLook || changes === undefined ? LOOKING : []), ...Object.keys(changes ?? {})]
  return { kind: 'method', allow: allowed.join(', ') }
}

function lookAt(path: string, query: URLSearchParams): Look {
  if (isPagePath(path)) return { kind: 'page', path }
  switch (path) {
    case '/metrics':
      return { kind: 'metrics' }
    case '/healthz':
      return { kind: 'healthz' }
    case '/readyz':
      return { kind: 'readyz', warm: ['', '1', 'true'].includes(query.get('warm') ?? '0') }
    case '/api/v1/status':
      return { kind: 'status' }
    case '/api/v1/pulls':
      return { kind: 'pulls' }
    case '/api/v1/blobs':
      return { kind: 'blobs' }
    case '/api/v1/images':
      return { kind: 'images' }
    case '/api/v1/why':
      return why(query)
    default:
      return { kind: 'unknown' }
  }
}

function why(query: URLSearchParams): Look {
  const subject = query.get('subject') ?? ''
  if (subject === '') return { kind: 'refused', problem: 'subject is missing: give an image or a digest' }
  if (subject.length > LONGEST_SUBJECT)
    return { kind: 'refused', problem: 'subject is too long for an image or a digest' }
  return { kind: 'why', subject }
}
