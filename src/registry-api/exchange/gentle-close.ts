import type { Duplex } from 'node:stream'

/** How long the socket stays open after the last answer, so that the client can read it while it may still be sending. */
const LINGER_MS = 1000

/**
 * Ends a connection whose client may still be sending. Reads and drops what comes for a moment: closing the socket with
 * unread bytes sends RST, and the client could lose the answer.
 */
export function closeGently(socket: Duplex): void {
  if (socket.destroyed) return
  socket.on('error', ignore)
  socket.end()
  const linger = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(linger))
  socket.resume()
}

// The `close` event is enough.
function ignore(): void {}
