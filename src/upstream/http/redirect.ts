import { Failure } from '../../ports/failure.ts'
import { type AddressScope, isWithinScope, scopeOfHostname } from '../options/address-scope.ts'
import type { HttpRequest, HttpResponse, SendRequest } from './messages.ts'
import type { RedirectTargets } from './redirect-targets.ts'

const MOST_REDIRECTS = 5
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The URL that a redirect leads to. A redirect away from TLS, or to a private address beyond the limit, is refused. */
export function checkLocation(from: URL, location: string | undefined, scopeLimit: AddressScope): URL {
  const source = from.host
  const refuse = (why: string): never => {
    throw new Failure('unavailable', `${source} redirects ${why}`, { source })
  }
  if (location === undefined) return refuse('without a location')
  let to: URL
  try {
    to = new URL(location, from)
  } catch {
    return refuse('to an invalid URL')
  }
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return refuse('to a URL that is not http or https')
  if (from.protocol === 'https:' && to.protocol === 'http:') return refuse('to a URL without TLS')
  if (to.username !== '' || to.password !== '') return refuse('to a URL with a password')
  const literal = scopeOfHostname(to.hostname)
  if (to.host !== from.host && literal !== undefined && !isWithinScope(literal, scopeLimit)) {
    return refuse(`to the private address ${to.host}; if that is right, set allowPrivateTargets`)
  }
  to.hash = ''
  return to
}

interface Senders {
  readonly registry: SendRequest
  readonly outside: SendRequest
  readonly scopeLimit: () => Promise<AddressScope>
  /** Where the redirects for blobs have led. */
  readonly targets: RedirectTargets
}

/**
 * Follows redirects. The request's own scope limit applies to the registry itself, `senders.scopeLimit` to the other hosts.
 * `registry` sends credentials, `outside` does not: once a redirect has left the registry's origin, no credentials are
 * sent, even if a later redirect leads back. For a range of a blob, the URL to which the last redirect led is asked first.
 */
export async function followRedirects(request: HttpRequest, senders: Senders): Promise<HttpResponse> {
  const remembered = await askRemembered(request, senders)
  if (remembered !== undefined) return remembered
  const home = request.url.origin
  let url = request.url
  let hasLeft = false
  for (let followed = 0; ; followed += 1) {
    const response = hasLeft
      ? await senders.outside({ ...request, url, scopeLimit: await senders.scopeLimit() })
      : await senders.registry({ ...request, url })
    if (!REDIRECT_STATUSES.has(response.status)) {
      if (!hasLeft) return response
      if (request.kind === 'blob' && isContent(response)) senders.targets.remember(request.url, url)
      return failingOnRefusal(response, url)
    }
    response.body.dispose()
    if (followed === MOST_REDIRECTS) {
      throw new Failure('unavailable', `${url.host} redirects more than ${MOST_REDIRECTS} times`, {
        source: url.host,
      })
    }
    url = checkLocation(url, response.headers.get('location'), await senders.scopeLimit())
    hasLeft ||= url.origin !== home
  }
}

/** Asks the URL that is remembered for a range of a blob. undefined: there is none, or it is of no use any more. */
async function askRemembered(
  request: HttpRequest,
  { outside, scopeLimit, targets }: Senders,
): Promise<HttpResponse | undefined> {
  const url = request.headers['range'] === undefined ? undefined : targets.find(request.url)
  if (url === undefined) return undefined
  try {
    const response = await outside({ ...request, url, scopeLimit: await scopeLimit() })
    if (isContent(response)) return response
    response.body.dispose()
  } catch {
    request.signal.throwIfAborted()
  }
  targets.forget(request.url)
  return undefined
}

function isContent({ status }: HttpResponse): boolean {
  return status === 200 || status === 206
}

/** A 4xx of a storage concerns its URL, which may have expired, not the credentials, so it is worth another attempt. */
function failingOnRefusal(response: HttpResponse, url: URL): HttpResponse {
  if (response.status < 400 || response.status === 404 || response.status === 416 || response.status === 429)
    return response
  response.body.dispose()
  const { status } = response
  throw new Failure('unavailable', `${url.host} refuses the URL that the registry gave (status ${status})`, {
    source: url.host,
    status,
  })
}
