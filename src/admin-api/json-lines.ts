import type { ServerResponse } from 'node:http'
import { onAbort } from '../lib/async/abort.ts'
import { Deferred } from '../lib/async/deferred.ts'

/** Lines are collected up to this size before they are written. */
const CHUNK_BYTES = 64 * 1024

/**
 * Sends each value as a line of JSON, no faster than the client reads. With `isUnbuffered` each line is sent at once,
 * because a person waits for it. When a value cannot be produced, or the client is too slow, the connection is closed:
 * the final chunk of the body is missing then, so the client knows that the list is incomplete.
 */
export async function sendJsonLines(
  response: ServerResponse,
  values: AsyncIterable<unknown>,
  timeoutMs: number,
  { isUnbuffered = false } = {},
): Promise<void> {
  const closed = new AbortController()
  response.once('close', () => closed.abort())
  // Restarted with every chunk, so the timer limits both the client and the producer of the values.
  const timer = setTimeout(() => response.destroy(), timeoutMs)
  let chunk = ''
  try {
    for await (const value of values) {
      if (closed.signal.aborted) return
      chunk += `${JSON.stringify(value)}\n`
      if (chunk.length < CHUNK_BYTES && !isUnbuffered) continue
      if (!response.write(chunk)) await drainOrClose(response, closed.signal)
      chunk = ''
      timer.refresh()
    }
    response.end(chunk)
  } catch {
    // The status is sent already, so only an incomplete body can report the error.
    response.destroy()
  } finally {
    clearTimeout(timer)
  }
}

async function drainOrClose(response: ServerResponse, closed: AbortSignal): Promise<void> {
  const { promise, resolve } = new Deferred<void>()
  response.once('drain', resolve)
  const stopListening = onAbort(closed, resolve)
  await promise
  response.off('drain', resolve)
  stopListening()
}
