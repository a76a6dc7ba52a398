import type { Socket } from 'node:net'

const CHECK_INTERVAL_MS = 50

/** The part of a libuv handle that counts the bytes not yet handed to the kernel. */
interface Handle {
  readonly writeQueueSize?: number
}

/**
 * Calls back when the socket no longer refers to memory that was written to it: all of it was handed to the kernel, or
 * the socket is closed. Node reports a write on an HTTP/2 stream as over, and even as done, when the stream is destroyed,
 * while nghttp2 or libuv may still have to send a part of it. A destroyed stream hands over or drops its own part within
 * the current turn of the event loop, so the socket is checked after that.
 */
export function whenWriteQueueEmpty(socket: Socket, callback: () => void): void {
  setImmediate(check, socket, callback)
}

function check(socket: Socket, callback: () => void): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null }
  if (handle === null || handle === undefined || handle.writeQueueSize === 0) callback()
  else setTimeout(check, CHECK_INTERVAL_MS, socket, callback)
}
