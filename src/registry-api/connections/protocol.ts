import type { Socket } from 'node:net'

/** RFC 9113 section 3.4: what a client that speaks HTTP/2 sends before anything else. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** `silent`: nothing came in time. */
export type Spoken = { readonly [protocol in 'http1' | 'http2' | 'silent']: () => void }

/**
 * Finds out which protocol a fresh connection speaks, by its first bytes, and puts them back. No request of HTTP/1.1
 * begins like the preface, so the first byte that differs decides; until then a part of it may be all there is.
 */
export function listenFor(
  socket: Socket,
  { silentMs, headersMs }: { silentMs: number; headersMs: number },
  onHeard: (protocol: keyof Spoken) => void,
): void {
  let heard: Buffer = Buffer.alloc(0)
  let deadline = setTimeout(() => settle('silent'), silentMs)
  const onReadable = () => {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return
    if (heard.length === 0) {
      clearTimeout(deadline)
      // From then on the deadlines of HTTP/1.1 see to it.
      deadline = setTimeout(() => settle('http1'), headersMs)
    }
    heard = Buffer.concat([heard, chunk])
    const length = Math.min(heard.length, PREFACE.length)
    if (PREFACE.compare(heard, 0, length, 0, length) !== 0) settle('http1')
    else if (length === PREFACE.length) settle('http2')
  }
  const forget = () => {
    clearTimeout(deadline)
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
    socket.off('close', forget)
  }
  const settle = (protocol: keyof Spoken) => {
    forget()
    if (heard.length > 0) socket.unshift(heard)
    onHeard(protocol)
    socket.off('error', ignore)
  }
  const onEnd = () => socket.destroy()
  socket.on('error', ignore)
  socket.on('end', onEnd)
  socket.on('close', forget)
  socket.on('readable', onReadable)
}

// Whoever speaks to it later listens for errors too; until then `close` says enough.
function ignore(): void {}
