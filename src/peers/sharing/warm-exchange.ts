import type { WarmLine } from '../../schemas/warm-report.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'

/** The images to warm, each named with its registry, and how to warm them. */
export interface WarmRequest {
  readonly images: readonly string[]
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
  /** How long each image waits for a registry that does not answer. */
  readonly waitMs: number
}

/** Warms images on one node, and reports in lines of which the last one is `done`. */
export type WarmImages = (request: WarmRequest, options: { signal: AbortSignal }) => AsyncIterable<WarmLine>

/** Each side sends a keep-alive this often. */
const KEEP_ALIVE_INTERVAL_MS = 1000
/** A side that sends nothing for six keep-alive intervals has failed. */
export const MAX_SILENCE_MS = 6000

/** Returns a function that stops the keep-alives. */
export function sendKeepAlives(exchange: PeerExchange): () => void {
  const timer = setInterval(() => {
    try {
      exchange.send({ is: 'beat' })
    } catch {
      clearInterval(timer)
    }
  }, KEEP_ALIVE_INTERVAL_MS)
  return () => clearInterval(timer)
}
