import type { Exchange } from './answer/exchange.ts'
import { respondJson } from './answer/respond.ts'

const EMPTY = Buffer.from('{}')

/** `/v2/`: yes, this is a registry, and nobody needs to log in. */
export function respondBase(exchange: Exchange): void {
  respondJson(exchange, {}, EMPTY)
}
