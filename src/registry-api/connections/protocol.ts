import type { Socket } from 'node:net'

/** RFC 9113 section 3.4: a client that speaks HTTP/2 sends this before anything else. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** `silent`: the client sent nothing within `silentMs`. */
export type DetectedProtocol = 'http1' | 'http2' | 'silent'

/**
 * Detects the protocol of a new connection by its first bytes, and puts these bytes back. No HTTP/1.1 request begins
 * with the preface of HTTP/2, so the first byte that differs decides; before that, only a part of the preface may have
 * arrived.
 */
export function detectProtocol(
  socket: Socket,
  { silentMs, headersMs }: { silentMs: number; headersMs: number },
  onDetected: (protocol: DetectedProtocol) => void,
): void {
  let received: Buffer = Buffer.alloc(0)
  let deadline = setTimeout(() => finish('silent'), silentMs)
  const onReadable = () => {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return
    if (received.length === 0) {
      clearTimeout(deadline)
      // A preface that stays incomplete is passed on as HTTP/1.1, whose parser rejects it.
      deadline = setTimeout(() => finish('http1'), headersMs)
    }
    received = Buffer.concat([received, chunk])
    const length = Math.min(received.length, PREFACE.length)
    if (PREFACE.compare(received, 0, length, 0, length) !== 0) finish('http1')
    else if (length === PREFACE.length) finish('http2')
  }
  const stopListening = () => {
    clearTimeout(deadline)
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
    socket.off('close', stopListening)
  }
  const finish = (protocol: DetectedProtocol) => {
    stopListening()
    if (received.length > 0) socket.unshift(received)
    onDetected(protocol)
    socket.off('error', ignore)
  }
  const onEnd = () => socket.destroy()
  socket.on('error', ignore)
  socket.on('end', onEnd)
  socket.on('close', stopListening)
  socket.on('readable', onReadable)
}

// The protocol's own server listens for errors later; until then the `close` event is enough.
function ignore(): void {}
