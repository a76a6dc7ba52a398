import type { ServerResponse } from 'node:http'
import { onAbort } from '../lib/async/abort.ts'
import { Deferred } from '../lib/async/deferred.ts'

/** Lines are gathered up to about this much before they are sent. */
const CHUNK = 64 * 1024

/**
 * Sends each value as a line of JSON, no faster than it is read; `eager`: each at once, because somebody waits for it.
 * When one cannot be had, or the other side is too slow,
 * the connection is cut: the chunk that ends the body is missing, and the list is known not to be whole.
 */
export async function sendLines(
  response: ServerResponse,
  values: AsyncIterable<unknown>,
  patienceMs: number,
  { eager = false } = {},
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  // Started anew with every chunk: it bounds the reader and the list alike.
  const late = setTimeout(() => response.destroy(), patienceMs)
  let chunk = ''
  try {
    for await (const value of values) {
      if (gone.signal.aborted) return
      chunk += `${JSON.stringify(value)}\n`
      if (chunk.length < CHUNK && !eager) continue
      if (!response.write(chunk)) await drained(response, gone.signal)
      chunk = ''
      late.refresh()
    }
    response.end(chunk)
  } catch {
    // The head is out already; a short end is all that can still be said.
    response.destroy()
  } finally {
    clearTimeout(late)
  }
}

async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = new Deferred<void>()
  response.once('drain', resolve)
  const stop = onAbort(gone, resolve)
  await promise
  response.off('drain', resolve)
  stop()
}
