import type { Repository } from '../oci/names/repository.ts'
import type { RedirectedHost, RequestSender, Wanted } from '../ports/redirects/redirected-host.ts'
import { COMMON_HEADERS } from './answer/respond.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import { type ReadResources, type ReadRoute, type ReadTarget, respondRead } from './read.ts'

const NO_BODY = Buffer.alloc(0)
const HEALTHY = Buffer.from('ok\n')

/** Sends a client of a redirected host to where it gets what it wants, or answers itself. */
export async function respondRedirected(
  exchange: HttpExchange,
  host: RedirectedHost,
  route: ReadRoute,
  repository: Repository,
  target: ReadTarget & { readonly queryText: string },
  resources: ReadResources,
): Promise<void> {
  const location = await host.locate({
    repository,
    wanted: wantedBy(route),
    query: target.queryText,
    isGet: exchange.method === 'GET',
    sender: senderOf(exchange),
  })
  if (location === undefined) return respondRead(exchange, route, repository, target, resources)
  // RFC 9110 section 15.4.8: the client repeats the request with the same method.
  exchange.answer(307, { ...COMMON_HEADERS, Location: location, 'Content-Length': 0 }, NO_BODY)
}

export function respondWebPage(exchange: HttpExchange, host: RedirectedHost): void {
  const { html, policy } = host.page(exchange.host)
  const body = Buffer.from(html)
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': body.length,
    'Content-Security-Policy': policy,
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  }
  exchange.answer(200, headers, body)
}

export function respondHealth(exchange: HttpExchange): void {
  const headers = { 'Content-Type': 'text/plain', 'Content-Length': HEALTHY.length }
  exchange.answer(200, { ...headers, 'X-Content-Type-Options': 'nosniff' }, HEALTHY)
}

function wantedBy(route: ReadRoute): Wanted {
  switch (route.kind) {
    case 'manifest':
      return { kind: 'manifest', reference: route.digest }
    case 'tagged':
      return { kind: 'manifest', reference: route.tag }
    case 'tags':
      return { kind: 'tags' }
    default:
      return { kind: route.kind, digest: route.digest }
  }
}

function senderOf({ client, headers }: HttpExchange): RequestSender {
  return {
    address: client.address,
    forwardedFor: textOf(headers['x-forwarded-for']),
    forwarded: textOf(headers.forwarded),
  }
}

function textOf(header: string | readonly string[] | undefined): string | undefined {
  return header === undefined || typeof header === 'string' ? header : header.join(',')
}
