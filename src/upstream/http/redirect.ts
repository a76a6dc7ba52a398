import { Failure } from '../../ports/failure.ts'
import { type AddressScope, isWithinScope, scopeOfHostname } from '../options/address-scope.ts'
import type { Exchange, Reply, Request } from './exchange.ts'

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

/**
 * Follows redirects. The request's own scope limit applies to the registry itself. `registry` sends credentials, `outside` does
 * not: once a redirect has left the registry's origin, no credentials are sent, even if a later redirect leads back.
 */
export async function followRedirects(
  request: Request,
  exchanges: { registry: Exchange; outside: Exchange; scopeLimit: () => Promise<AddressScope> },
): Promise<Reply> {
  const home = request.url.origin
  let url = request.url
  let hasLeft = false
  for (let followed = 0; ; followed += 1) {
    const reply = hasLeft
      ? await exchanges.outside({ ...request, url, scopeLimit: await exchanges.scopeLimit() })
      : await exchanges.registry({ ...request, url })
    if (!REDIRECT_STATUSES.has(reply.status)) return hasLeft ? failingOnRefusal(reply, url) : reply
    reply.body.dispose()
    if (followed === MOST_REDIRECTS) {
      throw new Failure('unavailable', `${url.host} redirects more than ${MOST_REDIRECTS} times`, {
        source: url.host,
      })
    }
    url = checkLocation(url, reply.headers.get('location'), await exchanges.scopeLimit())
    hasLeft ||= url.origin !== home
  }
}

/** A 4xx of a storage concerns its URL, which may have expired, not the credentials, so it is worth another attempt. */
function failingOnRefusal(reply: Reply, url: URL): Reply {
  if (reply.status < 400 || reply.status === 404 || reply.status === 416 || reply.status === 429) return reply
  reply.body.dispose()
  const { status } = reply
  throw new Failure('unavailable', `${url.host} refuses the URL that the registry gave (status ${status})`, {
    source: url.host,
    status,
  })
}
