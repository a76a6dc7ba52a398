import type { Socket } from 'node:net'

const LOOK_MS = 50

/** What libuv tells of a connection: how many bytes it still has to give to the kernel. */
interface Handle {
  readonly writeQueueSize?: number
}

/**
 * Calls back when the connection refers to no memory any more that was written to it: it has given all of it to the
 * kernel, or is closed. Node reports a write on an HTTP/2 stream as over, and even as done, when the stream is destroyed,
 * while nghttp2 or libuv may still have a part of it to send. A destroyed stream hands over or drops its own part within
 * the current turn of the event loop, so the connection is looked at after that.
 */
export function whenDrained(socket: Socket, then: () => void): void {
  setImmediate(look, socket, then)
}

function look(socket: Socket, then: () => void): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null }
  if (handle === null || handle === undefined || handle.writeQueueSize === 0) then()
  else setTimeout(look, LOOK_MS, socket, then)
}
