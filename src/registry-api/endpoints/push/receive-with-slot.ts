import { RefusedRequest } from '../../answer/respond.ts'
import type { SendSlots } from '../../answer/send-slots.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import type { BodySink } from '../../exchange/request-body.ts'

/** A client has to send this much in `slowMs` while others wait for a slot. */
const STEP_BYTES = 64 * 1024

/**
 * Waits until the client may send its body, calls `run`, and lets the next client send. `run` is given a function that
 * receives the body.
 */
export async function receiveWithSlot<Result>(
  exchange: HttpExchange,
  { slots, stallMs }: { readonly slots: SendSlots; readonly stallMs: number },
  run: (receive: (sink: BodySink) => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const { body, signal } = exchange
  if (body.length === 0) return run(async () => {})
  const coding = exchange.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    const message = `the transfer coding "${coding}" is not supported: send the body with Content-Length, or chunked`
    throw new RefusedRequest({ status: 501, code: 'UNSUPPORTED', message })
  }
  const slot = await slots.take(exchange, exchange)
  const receive = async (sink: BodySink): Promise<void> => {
    let missing = STEP_BYTES
    slot.onWrite(STEP_BYTES)
    try {
      await body.receive(sink, {
        signal,
        stallMs,
        onReceived: (bytes) => {
          missing -= bytes
          if (missing > 0) return
          missing = STEP_BYTES
          slot.onWriteDone()
          slot.onWrite(STEP_BYTES)
        },
      })
    } finally {
      slot.onWriteDone()
    }
  }
  try {
    return await run(receive)
  } finally {
    slot.end()
  }
}
