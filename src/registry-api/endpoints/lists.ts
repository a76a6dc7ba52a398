import type { OutgoingHttpHeaders } from 'node:http'
import { nextLink, pageOf, parsePageRequest } from '../../oci/page.ts'
import { type BodyResources, type BodySource, sendSelection } from '../answer/body.ts'
import { jsonHeaders, respondError, respondJson } from '../answer/respond.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import type { Query } from './query.ts'

/** A list up to this size is sent in one write, so it holds memory only until the kernel has it. */
const MAX_SINGLE_WRITE_BYTES = 64 * 1024

/** Answers with one page of a list in ASCII order, and a link to the next page. `body` turns the items into JSON. */
export async function respondPage(
  exchange: HttpExchange,
  sorted: readonly string[],
  options: { path: string; query: Query; headers?: Record<string, string>; resources: BodyResources },
  body: (items: readonly string[]) => unknown,
): Promise<void> {
  const request = parsePageRequest(options.query.n, options.query.last)
  if (!request.ok) {
    respondError(exchange, { status: 400, code: 'PAGINATION_NUMBER_INVALID', message: request.problem })
    return
  }
  const { n } = request.value
  const { items, next } = pageOf(sorted, request.value)
  const link =
    n === undefined || next === undefined
      ? {}
      : { Link: nextLink(options.path, { n, last: next, ns: options.query.ns }) }
  const list = Buffer.from(JSON.stringify(body(items)))
  await respondList(exchange, { ...options.headers, ...link }, list, options.resources)
}

/** A large list is sent like a blob, with a send slot, so that clients that take nothing keep only a few in memory. */
export async function respondList(
  exchange: HttpExchange,
  headers: OutgoingHttpHeaders,
  list: Uint8Array,
  resources: BodyResources,
): Promise<void> {
  if (exchange.method === 'HEAD' || list.length <= MAX_SINGLE_WRITE_BYTES)
    return respondJson(exchange, headers, list)
  const range = { start: 0, end: list.length }
  await sendSelection(
    exchange,
    sourceFrom(list),
    { status: 200, headers: jsonHeaders(headers, list.length), parts: [{ text: undefined, range }] },
    resources,
  )
}

function sourceFrom(bytes: Uint8Array): BodySource {
  const { length: size } = bytes
  return {
    size,
    readable: () => size,
    read: async (target, position) => {
      const part = bytes.subarray(position, position + target.length)
      target.set(part)
      return part.length
    },
  }
}
