import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Certificate } from './certificate.ts'

/** The server that owns the port. It speaks HTTP/1.1, to those connections that are given to `speak`. */
export interface Http1Front {
  readonly server: Server & { setSecureContext?(certificate: Certificate): void }
  speak(socket: Socket): void
}

/** Deadlines and bounds of one connection; `Limits` says what they are for. */
export interface Http1Limits {
  readonly maxHeaderBytes: number
  readonly headersMs: number
  readonly requestMs: number
  readonly keepAliveMs: number
  readonly stallMs: number
}

export interface Arrivals {
  /** Whether there is room for a connection, as it is accepted. */
  accept(socket: Socket): boolean
  /** Gets every connection, decrypted if there is a certificate, and decides who speaks to it. */
  hear(socket: Socket): void
}

export function createHttp1(
  limits: Http1Limits,
  certificate: Certificate | undefined,
  { accept, hear }: Arrivals,
): Http1Front {
  const options: ServerOptions & { httpAllowHalfOpen?: boolean } = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
    keepAliveTimeout: limits.keepAliveMs,
    // Looked at in server.ts, where the answer can have a body that explains it.
    requireHostHeader: false,
    noDelay: true,
  }
  const server =
    certificate === undefined
      ? createServer(options)
      : createTlsServer({
          ...options,
          ...certificate,
          ALPNProtocols: ['h2', 'http/1.1'],
          minVersion: 'TLSv1.2',
          handshakeTimeout: limits.headersMs,
        })
  // `maxHeaderSize` bounds them. With a bound on their number Node drops the rest, and a second Host could be among them.
  server.maxHeadersCount = 0
  // The socket's timer knows when a write moves on, however slowly.
  server.timeout = limits.stallMs
  // `printf 'GET …' | nc -N` says that it has nothing more to send, and still wants its answer.
  Object.assign(server, { httpAllowHalfOpen: true })

  // Where TLS has failed there is nobody to whom an HTTP error would make sense.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())

  // Node's own listener begins with HTTP/1.1 at once. Used as a function instead, it keeps all of Node's deadlines,
  // which only work for the connections of a server that listens itself.
  const isTls = certificate !== undefined
  const speakHttp1 = takeListener(server, isTls ? 'secureConnection' : 'connection')
  const welcome = isTls ? takeListener(server, 'connection') : hear
  server.on('connection', (socket: Socket) => {
    if (accept(socket)) welcome.call(server, socket)
  })
  if (isTls) server.on('secureConnection', hear)
  return { server, speak: (socket) => void speakHttp1.call(server, socket) }
}

/** Node's own listener, which is called no longer. */
function takeListener(server: Server, event: string): (this: Server, socket: Socket) => void {
  const [own] = server.listeners(event)
  if (own === undefined) throw new Error('this version of Node starts connections in a way not known here')
  server.removeAllListeners(event)
  return own as (socket: Socket) => void
}
