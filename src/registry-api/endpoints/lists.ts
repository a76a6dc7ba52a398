import type { OutgoingHttpHeaders } from 'node:http'
import { nextLink, pageOf, parsePageRequest } from '../../oci/page.ts'
import { type BodyDesk, type Readable, sendSelected } from '../answer/body.ts'
import type { Exchange } from '../answer/exchange.ts'
import { jsonHeaders, refuse, respondJson } from '../answer/respond.ts'
import type { Query } from './query.ts'

const AT_ONCE = 64 * 1024

/** A page of a list in ASCII order, with a link to the next one. `body` says how the page is written. */
export async function respondPage(
  exchange: Exchange,
  sorted: readonly string[],
  asked: { path: string; query: Query; headers?: Record<string, string>; desk: BodyDesk },
  body: (items: readonly string[]) => unknown,
): Promise<void> {
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
  const list = Buffer.from(JSON.stringify(body(items)))
  await respondList(exchange, { ...asked.headers, ...link }, list, asked.desk)
}

/** A list may be large: then it is sent as a blob is, so that clients that take nothing hold only a few of them. */
export async function respondList(
  exchange: Exchange,
  headers: OutgoingHttpHeaders,
  list: Uint8Array,
  desk: BodyDesk,
): Promise<void> {
  if (exchange.method === 'HEAD' || list.length <= AT_ONCE) return respondJson(exchange, headers, list)
  const range = { start: 0, end: list.length }
  await sendSelected(
    exchange,
    inMemory(list),
    { status: 200, headers: jsonHeaders(headers, list.length), parts: [{ text: undefined, range }] },
    desk,
  )
}

function inMemory(bytes: Uint8Array): Readable {
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
