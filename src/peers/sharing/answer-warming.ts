import { Failure } from '../../ports/failure.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import { type PeerRequest, parseMessage, WarmRequestMessage } from '../wire/protocol/messages.ts'
import { MAX_SILENCE_MS, sendKeepAlives, type WarmImages } from './warm-exchange.ts'

/** The requesting node must send the names of all images within this time. */
const IMAGES_TIMEOUT_MS = 15_000
/** Progress is shown to people, who notice no more than about one change per second. */
const PROGRESS_INTERVAL_MS = 900
/** The error of an image may quote a long answer of a registry, and must fit into a message. */
const MAX_ERROR_CHARACTERS = 2000

/** Warms the images that another agent asks for, until they are warm or the other agent leaves. */
export async function answerWarming(
  { platforms, referrers, pin, waitMs, images: imageCount }: PeerRequest & { ask: 'warm' },
  exchange: PeerExchange,
  warm: WarmImages,
  maxSilenceMs = MAX_SILENCE_MS,
): Promise<void> {
  exchange.send({ is: 'ready' })
  const stopKeepAlives = sendKeepAlives(exchange)
  const stop = new AbortController()
  let listening: Promise<void> | undefined
  try {
    const images = await receiveImages(exchange, imageCount)
    listening = stopWhenOtherLeaves(exchange, stop, maxSilenceMs)
    let progressSentAt = Number.NEGATIVE_INFINITY
    for await (const line of warm({ images, platforms, referrers, pin, waitMs }, { signal: stop.signal })) {
      if (line.is === 'progress') {
        if (performance.now() - progressSentAt < PROGRESS_INTERVAL_MS) continue
        progressSentAt = performance.now()
      }
      exchange.send(
        line.is === 'image' ? { ...line, error: line.error?.slice(0, MAX_ERROR_CHARACTERS) ?? null } : line,
      )
    }
  } finally {
    stopKeepAlives()
    stop.abort()
    await listening
  }
}

async function receiveImages(exchange: PeerExchange, count: number): Promise<readonly string[]> {
  const images: string[] = []
  const signal = AbortSignal.timeout(IMAGES_TIMEOUT_MS)
  while (images.length < count) {
    const message = await exchange.receive({ signal, ms: MAX_SILENCE_MS })
    const input = parseMessage(WarmRequestMessage, message, exchange.peerName)
    if (input.is === 'images') images.push(...input.images)
  }
  if (images.length > count) throw new Failure('unavailable', 'more images were sent than announced')
  return images
}

/** Aborts `stop` when the other side ends the exchange, breaks it, or is silent for too long. */
async function stopWhenOtherLeaves(
  exchange: PeerExchange,
  stop: AbortController,
  maxSilenceMs: number,
): Promise<void> {
  try {
    for (;;) {
      const message = await exchange.receive({ signal: stop.signal, ms: maxSilenceMs })
      if (message === undefined) break
      parseMessage(WarmRequestMessage, message, exchange.peerName)
    }
  } catch {
    // Whatever the error is, the other side sends nothing more that could be used.
  }
  stop.abort(new Failure('stopping', 'the node that asked for the images has left'))
}
