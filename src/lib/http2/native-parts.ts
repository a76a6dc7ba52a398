import type { Http2Session } from 'node:http2'
import { BoundedMap } from '../bounded-map.ts'

/** Only clients that reconnect at once, again and again, reach this bound. */
const MAX_PARTS = 256
const KEEP_MS = 3000

/**
 * The native parts of HTTP/2 sessions that were closed lately. Node frees such a part as soon as its garbage collector finds
 * it, and aborts the process (`current_nghttp2_memory_ == 0`) if a native stream of the session still has some of its
 * memory, which malformed frames under load can bring about. So each part is referenced for a while.
 */
export class NativeParts {
  readonly #parts = new BoundedMap<object, true>(MAX_PARTS)

  /** Keeps the session's native part for a while after the session is closed. */
  keepFrom(session: Http2Session): void {
    const part = nativePartOf(session)
    if (part === undefined) return
    session.once('close', () => {
      this.#parts.set(part, true)
      setTimeout(() => this.#parts.delete(part), KEEP_MS).unref()
    })
  }
}

/** The native part of a session; undefined if Node does not store it under the known name. */
function nativePartOf(session: Http2Session): object | undefined {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'kHandle')
  const handle: unknown = symbol === undefined ? undefined : Reflect.get(session, symbol)
  return typeof handle === 'object' && handle !== null ? handle : undefined
}
