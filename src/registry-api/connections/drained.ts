import type { Socket } from 'node:net'

const LOOK_MS = 50

/** What libuv tells of a connection: how many bytes it still has to give to the kernel. */
interface Handle {
  readonly writeQueueSize?: number
}

/**
 * Calls back when the connection refers to no memory any more that was written to it: it has given all of it to the
 * kernel, or is closed. Node tells of a write on an HTTP/2 stream that it is over as soon as the stream is destroyed.
 */
export function whenDrained(socket: Socket, then: () => void): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null }
  if (handle === null || handle === undefined || handle.writeQueueSize === 0) then()
  else setTimeout(() => whenDrained(socket, then), LOOK_MS)
}
