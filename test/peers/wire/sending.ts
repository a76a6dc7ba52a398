import type { PeerExchange } from '../../../src/peers/wire/exchange.ts'
import type { GrowingContent } from '../../../testkit/memory/growing-content.ts'
import { neverAborted } from '../../../testkit/peer-lab.ts'

const signal = neverAborted()

/** Answers each request with a content from its start. */
export function sending(content: GrowingContent) {
  return async (_request: unknown, exchange: PeerExchange): Promise<void> => {
    exchange.send({ is: 'content', size: content.size, mediaType: null })
    await exchange.sendContent(content, 0, { signal })
  }
}
