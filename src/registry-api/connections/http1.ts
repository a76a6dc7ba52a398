import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Certificate } from '../../lib/certificate-files.ts'

/** The server that owns the port. It speaks HTTP/1.1 on the connections that are passed to `serve`. */
export interface Http1Server {
  readonly server: Server & { setSecureContext?(certificate: Certificate): void }
  serve(socket: Socket): void
}

/** Deadlines and limits of one connection; `Limits` explains them. */
export interface Http1Limits {
  readonly maxHeaderBytes: number
  readonly headersMs: number
  readonly keepAliveMs: number
  readonly stallMs: number
}

export interface ConnectionHandlers {
  /** Called for every TCP connection; returns false when there are too many. */
  accept(socket: Socket): boolean
  /** Called for every accepted connection, decrypted if there is a certificate; decides which protocol serves it. */
  onConnection(socket: Socket): void
}

export function createHttp1Server(
  limits: Http1Limits,
  certificate: Certificate | undefined,
  { accept, onConnection }: ConnectionHandlers,
): Http1Server {
  const options: ServerOptions & { httpAllowHalfOpen?: boolean } = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersMs,
    // Bodies have deadlines of their own: a push may take hours.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
    keepAliveTimeout: limits.keepAliveMs,
    // `hostHeaderProblem` checks the Host header instead, so that the answer has an OCI error body.
    requireHostHeader: false,
    noDelay: true,
  }
  const server =
    certificate === undefined
      ? createServer(options)
      : createTlsServer({
          ...options,
          ...certificate,
          requestCert: certificate.ca !== undefined,
          // A client without a certificate may log in by other means.
          rejectUnauthorized: false,
          ALPNProtocols: ['h2', 'http/1.1'],
          minVersion: 'TLSv1.2',
          handshakeTimeout: limits.headersMs,
        })
  // `maxHeaderSize` limits the headers. With a limit on their number Node drops the rest, which could hide a second Host.
  server.maxHeadersCount = 0
  // Node's socket timer restarts when a part of a write is sent, so it ends only clients that take nothing.
  server.timeout = limits.stallMs
  // `printf 'GET …' | nc -N` closes its sending side and still waits for the answer.
  Object.assign(server, { httpAllowHalfOpen: true })

  // After a failed TLS handshake the client could not read an HTTP error.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())

  // Node's own listener starts HTTP/1.1 at once. Called as a function instead, the listener keeps all of Node's
  // deadlines, which only work for connections of a server that listens itself.
  const isTls = certificate !== undefined
  const serveHttp1 = removeOwnListener(server, isTls ? 'secureConnection' : 'connection')
  const startConnection = isTls ? removeOwnListener(server, 'connection') : onConnection
  server.on('connection', (socket: Socket) => {
    if (accept(socket)) startConnection.call(server, socket)
  })
  if (isTls) server.on('secureConnection', onConnection)
  return { server, serve: (socket) => void serveHttp1.call(server, socket) }
}

/** Removes the listener that Node has added itself, and returns it. */
function removeOwnListener(server: Server, event: string): (this: Server, socket: Socket) => void {
  const [own] = server.listeners(event)
  if (own === undefined) throw new Error(`this version of Node has no listener of its own for "${event}"`)
  server.removeAllListeners(event)
  return own as (socket: Socket) => void
}
