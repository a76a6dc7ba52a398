import { nextLink, pageOf, parsePageRequest } from '../oci/page.ts'
import type { Exchange } from './exchange.ts'
import type { Query } from './query.ts'
import { refuse, respondJson } from './respond.ts'

/** A page of a list in ASCII order, with a link to the next one. `body` says how the page is written. */
export function respondPage(
  exchange: Exchange,
  sorted: readonly string[],
  asked: { path: string; query: Query; headers?: Record<string, string> },
  body: (items: readonly string[]) => unknown,
): void {
  const request = parsePageRequest(asked.query.n, asked.query.last)
  if (!request.ok) {
    refuse(exchange, { status: 400, code: 'PAGINATION_NUMBER_INVALID', message: request.problem })
    return
  }
  const { n } = request.value
  const { items, next } = pageOf(sorted, request.value)
  const link =
    n === undefined || next === undefined
      ? {}
      : { Link: nextLink(asked.path, { n, last: next, ns: asked.query.ns }) }
  respondJson(exchange, { ...asked.headers, ...link }, Buffer.from(JSON.stringify(body(items))))
}
