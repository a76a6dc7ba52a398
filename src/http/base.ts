import type { Exchange } from './exchange.ts'
import { respondJson } from './respond.ts'

const EMPTY = Buffer.from('{}')

/** `/v2/`: yes, this is a registry, and nobody needs to log in. */
export function respondBase(exchange: Exchange): void {
  respondJson(exchange, {}, EMPTY)
}
