import { Failure } from '../../ports/failure.ts'
import { type AddressScope, isWithinScope, scopeOfHostname } from '../options/address-scope.ts'
import type { Exchange, Reply, Request } from './exchange.ts'

const MOST = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Where a redirect leads. Refuses what leaves TLS, and what is inside our network by its very name. */
export function checkLocation(from: URL, location: string | undefined, scopeLimit: AddressScope): URL {
  const source = from.host
  const refuse = (why: string): never => {
    throw new Failure('unavailable', `${source} redirects ${why}`, { source })
  }
  if (location === undefined) return refuse('nowhere')
  let to: URL
  try {
    to = new URL(location, from)
  } catch {
    return refuse('to what is not a URL')
  }
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return refuse('to what is not a web address')
  if (from.protocol === 'https:' && to.protocol === 'http:') return refuse('to an address without TLS')
  if (to.username !== '' || to.password !== '') return refuse('to an address with a password')
  const literal = scopeOfHostname(to.hostname)
  if (to.host !== from.host && literal !== undefined && !isWithinScope(literal, scopeLimit)) {
    return refuse(`to the private address ${to.host}; if that is right, set allowPrivateTargets`)
  }
  to.hash = ''
  return to
}

/**
 * Follows redirects by hand. The request's own scopeLimit is for the registry itself. `registry` makes requests with credentials, `elsewhere` without: once a redirect has left
 * the registry's origin, credentials stay behind, also when a later one leads back.
 */
export async function followRedirects(
  request: Request,
  exchanges: { registry: Exchange; elsewhere: Exchange; scopeLimit: () => Promise<AddressScope> },
): Promise<Reply> {
  const home = request.url.origin
  let url = request.url
  let left = false
  for (let followed = 0; ; followed += 1) {
    const reply = left
      ? await exchanges.elsewhere({ ...request, url, scopeLimit: await exchanges.scopeLimit() })
      : await exchanges.registry({ ...request, url })
    if (!REDIRECTS.has(reply.status)) return left ? withoutVerdict(reply, url) : reply
    reply.body.dispose()
    if (followed === MOST) {
      throw new Failure('unavailable', `${url.host} redirects without end`, { source: url.host })
    }
    url = checkLocation(url, reply.headers.get('location'), await exchanges.scopeLimit())
    left ||= url.origin !== home
  }
}

/** A storage's 4xx is about its URL, which may have expired, not about our credentials: worth another attempt. */
function withoutVerdict(reply: Reply, url: URL): Reply {
  if (reply.status < 400 || reply.status === 404 || reply.status === 416 || reply.status === 429) return reply
  reply.body.dispose()
  const { status } = reply
  throw new Failure('unavailable', `${url.host} refuses the URL that the registry gave (status ${status})`, {
    source: url.host,
    status,
  })
}
