import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { type PeerCredentials, remoteIdentityOf, tlsOptions } from '../identity/credentials.ts'
import { type ConnectionResources, type KnownMember, PeerConnection } from './connection/connection.ts'
import { type ConnectionLimitOptions, ConnectionLimits, type CountedConnection } from './connection-limits.ts'
import { PeerExchange } from './exchange.ts'

export interface PeerServerLimits extends ConnectionLimitOptions {
  readonly handshakeMs: number
  /** How long a new connection may take to send its first request. */
  readonly firstRequestMs: number
  /** How long a connection may be idle. Longer than in the peer client, so that the client closes it and no request is lost. */
  readonly idleMs: number
}

const DEFAULT_LIMITS: PeerServerLimits = {
  maxConnections: 2048,
  maxPerAddress: 1024,
  maxUnauthenticated: 256,
  maxUnauthenticatedPerAddress: 64,
  maxFailures: 32,
  failureWindowMs: 10_000,
  handshakeMs: 5000,
  firstRequestMs: 5000,
  idleMs: 60_000,
}

export interface PeerServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly credentials: PeerCredentials
  readonly resources: ConnectionResources
  /** Finds the member that has the certificate of this fingerprint. A peer that membership does not know yet is served too. */
  readonly memberOf: (fingerprint: string) => KnownMember | undefined
  /** Answers one exchange, which ends when the promise settles. `request` is the first message, not parsed yet. */
  readonly onExchange: (request: unknown, exchange: PeerExchange) => Promise<void>
  readonly limits?: Partial<PeerServerLimits> | undefined
}

/** How long a stopping server waits for clients to confirm the last bytes, and then for aborted exchanges to settle. */
const LAST_BYTES_MS = 1000
const neverAborted = new AbortController().signal
setMaxListeners(0, neverAborted)

/** Accepts connections of other agents, and only those that have a certificate of the swarm. */
export class PeerServer {
  readonly #options: PeerServerOptions
  readonly #limits: PeerServerLimits
  readonly #connectionLimits: ConnectionLimits
  /** Accepts the connections. It refuses some before the TLS server sees them, which costs no handshake. */
  readonly #tcp: Server
  readonly #tls: TlsServer
  readonly #sockets = new Set<Socket>()
  /** The connections in the handshake, by remote address and port. */
  readonly #unauthenticated = new Map<string, CountedConnection>()
  readonly #idle = new Set<PeerConnection>()
  #exchangesUnderWay = 0
  #isStopping = false
  /** Called when a connection or an exchange has ended. */
  #onEnded: (() => void) | undefined

  constructor(options: PeerServerOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#connectionLimits = new ConnectionLimits(this.#limits)
    this.#tls = createTlsServer({
      ...tlsOptions(options.credentials),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: this.#limits.handshakeMs,
    })
    this.#tls.on('secureConnection', (socket: TLSSocket) => this.#onAuthenticated(socket))
    this.#tls.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy())
    this.#tcp = createServer((socket) => this.#admit(socket))
  }

  /** Resolves with the address on which the server listens. */
  start(): Promise<{ host: string; port: number }> {
    const { listen } = this.#options
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', reject)
      this.#tcp.listen(listen.port, listen.host, () => {
        this.#tcp.off('error', reject)
        const address = this.#tcp.address()
        if (address === null || typeof address === 'string') reject(new Error('no TCP address'))
        else resolve({ host: address.address, port: address.port })
      })
    })
  }

  /** Accepts no more connections, lets exchanges under way end for `drainMs`, and closes everything. */
  async stop({ drainMs }: { drainMs: number }): Promise<void> {
    this.#isStopping = true
    const closed = new Promise<void>((resolve) => this.#tcp.close(() => resolve()))
    for (const connection of [...this.#idle]) {
      connection.close(connection.failure('the agent is stopping'))
    }
    await this.#waitUntil(() => this.#exchangesUnderWay === 0, drainMs)
    // The clients close the connections when they have the last bytes.
    if (this.#exchangesUnderWay === 0) {
      await this.#waitUntil(() => this.#unauthenticated.size === this.#sockets.size, LAST_BYTES_MS)
    }
    for (const socket of this.#sockets) socket.destroy()
    await closed
    await this.#waitUntil(() => this.#exchangesUnderWay === 0, LAST_BYTES_MS)
  }

  #admit(socket: Socket): void {
    const { remoteAddress, remotePort } = socket
    const counted =
      remoteAddress === undefined
        ? undefined
        : this.#connectionLimits.admit(remoteAddress, () => socket.resetAndDestroy())
    if (counted === undefined) {
      socket.resetAndDestroy()
      return
    }
    const remote = `${remoteAddress} ${remotePort}`
    this.#sockets.add(socket)
    this.#unauthenticated.set(remote, counted)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#unauthenticated.delete(remote)
      counted.closed()
      this.#onEnded?.()
    })
    socket.on('error', () => {})
    this.#tls.emit('connection', socket)
  }

  #onAuthenticated(socket: TLSSocket): void {
    const remote = `${socket.remoteAddress} ${socket.remotePort}`
    const counted = this.#unauthenticated.get(remote)
    const remoteIdentity = remoteIdentityOf(socket)
    if (counted === undefined || remoteIdentity === undefined || this.#isStopping) {
      socket.destroy()
      return
    }
    this.#unauthenticated.delete(remote)
    counted.authenticated()
    const member = this.#options.memberOf(remoteIdentity.fingerprint)
    const peerName = member?.name ?? socket.remoteAddress ?? 'a peer'
    const { resources } = this.#options
    const connection = new PeerConnection({ peerName, member, remoteIdentity, resources })
    connection.attach(socket)
    connection.readFrom(socket)
    this.#awaitRequest(connection, this.#limits.firstRequestMs)
  }

  #awaitRequest(connection: PeerConnection, ms: number): void {
    if (this.#isStopping) {
      connection.close(connection.failure('the agent is stopping'))
      return
    }
    const exchange = new PeerExchange(connection, () => this.#awaitRequest(connection, this.#limits.idleMs))
    void this.#answer(connection, exchange, ms)
  }

  async #answer(connection: PeerConnection, exchange: PeerExchange, ms: number): Promise<void> {
    this.#idle.add(connection)
    const request = await exchange.receive({ signal: neverAborted, ms }).catch(() => undefined)
    this.#idle.delete(connection)
    if (request === undefined || this.#isStopping) return exchange.destroy()
    this.#exchangesUnderWay += 1
    try {
      await this.#options.onExchange(request, exchange)
    } catch {
      // `onExchange` has told the peer what failed, where that was possible.
    } finally {
      exchange.end()
      this.#exchangesUnderWay -= 1
      this.#onEnded?.()
    }
  }

  async #waitUntil(isReached: () => boolean, ms: number): Promise<void> {
    if (isReached()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onEnded = () => {
        if (isReached()) resolve()
      }
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#onEnded = undefined
  }
}
