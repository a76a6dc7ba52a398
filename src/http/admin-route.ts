/** What was asked of the admin server. */
export type AdminRoute =
  | { readonly kind: 'page' | 'metrics' | 'healthz' | 'readyz' | 'status' | 'blobs' | 'images' | 'unknown' }
  | { readonly kind: 'why'; readonly subject: string }
  | { readonly kind: 'refused'; readonly problem: string }

/** The longest reference that means something: host and name, tag, digest. */
const LONGEST_SUBJECT = 255 + 1 + 128 + 1 + 7 + 128

/** `target` is the request's target as it came. */
export function adminRoute(target: string): AdminRoute {
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const query = new URLSearchParams(question < 0 ? '' : target.slice(question + 1))
  switch (path) {
    case '/':
      return { kind: 'page' }
    case '/metrics':
      return { kind: 'metrics' }
    case '/healthz':
      return { kind: 'healthz' }
    case '/readyz':
      return { kind: 'readyz' }
    case '/api/v1/status':
      return { kind: 'status' }
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

function why(query: URLSearchParams): AdminRoute {
  const subject = query.get('subject') ?? ''
  if (subject === '') return { kind: 'refused', problem: 'subject is missing: give an image or a digest' }
  if (subject.length > LONGEST_SUBJECT)
    return { kind: 'refused', problem: 'subject is too long for an image or a digest' }
  return { kind: 'why', subject }
}
