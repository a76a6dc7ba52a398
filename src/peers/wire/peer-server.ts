import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import {
  type PeerCredentials,
  type RemoteIdentity,
  remoteIdentityOf,
  tlsOptions,
} from '../identity/credentials.ts'
import {
  type ConnectionLimitOptions,
  ConnectionLimits,
  type CountedConnection,
} from './connection/connection-limits.ts'
import type { ConnectionResources, KnownMember, RemotePeer } from './connection/resources.ts'
import { ContentServer } from './content/content-server.ts'
import type { ContentUpload } from './content/content-upload.ts'
import { ControlServer } from './control/control-server.ts'
import type { PeerExchange } from './control/exchange.ts'

export interface PeerServerLimits extends ConnectionLimitOptions {
  readonly handshakeMs: number
  /** How long a new connection, or a new exchange, may take to send its first request. */
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
  /** Finds the member that has this certificate. A peer that membership does not know yet is served too. */
  readonly memberOf: (identity: RemoteIdentity) => KnownMember | undefined
  /** Answers one exchange, which ends when the promise settles. `request` is the first message, not parsed yet. */
  readonly onExchange: (request: unknown, exchange: PeerExchange) => Promise<void>
  /** Sends one content. The peer learns why when the promise is rejected. */
  readonly onContent: (upload: ContentUpload) => Promise<void>
  readonly limits?: Partial<PeerServerLimits> | undefined
}

/** How long a stopping server waits for clients to confirm the last bytes, and then for aborted exchanges to settle. */
const LAST_BYTES_MS = 1000
const TCP_KEEPALIVE_MS = 15_000
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
  readonly #control: ControlServer
  readonly #content: ContentServer
  readonly #sockets = new Set<Socket>()
  /** The connections in the handshake, by remote address and port. */
  readonly #unauthenticated = new Map<string, CountedConnection>()
  /** How many exchanges and uploads are under way. */
  #underWay = 0
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
      ALPNProtocols: ['h2', 'http/1.1'],
    })
    const { resources, onContent } = options
    const { lingerMs } = resources
    const { firstRequestMs, idleMs } = this.#limits
    this.#control = new ControlServer({
      lingerMs,
      firstRequestMs,
      idleMs,
      onExchange: (exchange) => void this.#answer(exchange),
    })
    this.#content = new ContentServer({
      resources,
      firstRequestMs,
      idleMs,
      onRequest: (upload) =>
        this.#countingWork(() => onContent(upload).catch((error) => upload.refuse(error))),
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

  /** Accepts no more connections, lets exchanges and uploads under way end for `drainMs`, and closes everything. */
  async stop({ drainMs }: { drainMs: number }): Promise<void> {
    this.#isStopping = true
    const closed = new Promise<void>((resolve) => this.#tcp.close(() => resolve()))
    this.#control.drain()
    this.#content.drain()
    await this.#waitUntil(() => this.#underWay === 0, drainMs)
    // The clients close the connections when they have the last bytes.
    if (this.#underWay === 0) {
      await this.#waitUntil(() => this.#unauthenticated.size === this.#sockets.size, LAST_BYTES_MS)
    }
    for (const socket of this.#sockets) socket.destroy()
    await closed
    await this.#waitUntil(() => this.#underWay === 0, LAST_BYTES_MS)
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
    const address = socket.remoteAddress ?? 'a peer'
    const peer = (): RemotePeer => {
      const member = this.#options.memberOf(remoteIdentity)
      return { peerName: member?.name ?? address, member, remoteIdentity }
    }
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    if (socket.alpnProtocol === 'h2') this.#control.serve(socket, peer)
    else if (socket.alpnProtocol === 'http/1.1') this.#content.serve(socket, peer)
    // A member of an older version, which other members do not talk to either.
    else socket.destroy()
  }

  async #answer(exchange: PeerExchange): Promise<void> {
    const { firstRequestMs } = this.#limits
    const request = await exchange
      .receive({ signal: neverAborted, ms: firstRequestMs })
      .catch(() => undefined)
    if (request === undefined || this.#isStopping) return exchange.destroy()
    await this.#countingWork(async () => {
      try {
        await this.#options.onExchange(request, exchange)
      } catch {
        // `onExchange` has told the peer what failed, where that was possible.
      } finally {
        exchange.end()
      }
    })
  }

  async #countingWork(work: () => Promise<void>): Promise<void> {
    this.#underWay += 1
    try {
      await work()
    } finally {
      this.#underWay -= 1
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
