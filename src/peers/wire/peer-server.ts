import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { type PeerCredentials, remoteIdentityOf, tlsOptions } from '../identity/credentials.ts'
import { Connection, type Partner, type Traffic } from './connection.ts'
import { Crowd, type CrowdLimits, type Guest } from './connection-limits.ts'
import { Line } from './exchange.ts'

export interface DoorLimits extends CrowdLimits {
  readonly handshakeMs: number
  /** For the first message on a new connection. */
  readonly firstMs: number
  /** For the next one. Longer than others keep a connection idle, so that they are the ones to close it. */
  readonly idleMs: number
}

const DOOR_LIMITS: DoorLimits = {
  maxConnections: 2048,
  maxPerAddress: 1024,
  maxUnknown: 256,
  maxUnknownPerAddress: 64,
  maxStrangers: 32,
  strangerMs: 10_000,
  handshakeMs: 5000,
  firstMs: 5000,
  idleMs: 60_000,
}

export interface DoorOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly credentials: PeerCredentials
  readonly traffic: Traffic
  /** Who has the certificate of this fingerprint. Who has one at all knows the secret. */
  readonly memberOf: (fingerprint: string) => Partner | undefined
  /** Answers one exchange, which is over when it settles. `first` is what was asked, as it came. */
  readonly onExchange: (first: unknown, line: Line) => Promise<void>
  readonly limits?: Partial<DoorLimits> | undefined
}

const FAREWELL_MS = 1000
const never = new AbortController().signal
setMaxListeners(0, never)

/** Where other members come to ask. Without a certificate of the swarm nobody is told anything. */
export class Door {
  readonly #options: DoorOptions
  readonly #limits: DoorLimits
  readonly #crowd: Crowd
  readonly #front: Server
  readonly #tls: TlsServer
  /** Every connection, as accepted. */
  readonly #sockets = new Set<Socket>()
  /** Those whose handshake is under way, by where they come from. */
  readonly #unknown = new Map<string, Guest>()
  /** Connections between two exchanges. */
  readonly #resting = new Set<Connection>()
  /** Exchanges that are being answered. */
  #busy = 0
  #isStopping = false
  #onLess: (() => void) | undefined

  constructor(options: DoorOptions) {
    this.#options = options
    this.#limits = { ...DOOR_LIMITS, ...options.limits }
    this.#crowd = new Crowd(this.#limits)
    this.#tls = createTlsServer({
      ...tlsOptions(options.credentials),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: this.#limits.handshakeMs,
    })
    this.#tls.on('secureConnection', (socket: TLSSocket) => this.#welcome(socket))
    this.#tls.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy())
    this.#front = createServer((socket) => this.#admit(socket))
  }

  start(): Promise<{ host: string; port: number }> {
    const { listen } = this.#options
    return new Promise((resolve, reject) => {
      this.#front.once('error', reject)
      this.#front.listen(listen.port, listen.host, () => {
        this.#front.off('error', reject)
        const address = this.#front.address()
        if (address === null || typeof address === 'string') reject(new Error('no TCP address'))
        else resolve({ host: address.address, port: address.port })
      })
    })
  }

  /** Takes no more; what is being answered may end until the time is over. Then everything is closed. */
  async stop({ drainMs }: { drainMs: number }): Promise<void> {
    this.#isStopping = true
    const closed = new Promise<void>((resolve) => this.#front.close(() => resolve()))
    for (const connection of [...this.#resting]) connection.die(connection.failure('the agent is stopping'))
    await this.#until(() => this.#busy === 0, drainMs)
    // The last bytes are on their way; whoever has them says so.
    if (this.#busy === 0) await this.#until(() => this.#unknown.size === this.#sockets.size, FAREWELL_MS)
    for (const socket of this.#sockets) socket.destroy()
    await closed
    await this.#until(() => this.#busy === 0, FAREWELL_MS)
  }

  /** Before a byte is read: whoever comes too often costs no handshake. */
  #admit(socket: Socket): void {
    const { remoteAddress, remotePort } = socket
    const guest =
      remoteAddress === undefined
        ? undefined
        : this.#crowd.enter(remoteAddress, () => socket.resetAndDestroy())
    if (guest === undefined) {
      socket.resetAndDestroy()
      return
    }
    const place = `${remoteAddress} ${remotePort}`
    this.#sockets.add(socket)
    this.#unknown.set(place, guest)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#unknown.delete(place)
      guest.leave()
      this.#onLess?.()
    })
    socket.on('error', () => {})
    this.#tls.emit('connection', socket)
  }

  #welcome(socket: TLSSocket): void {
    const place = `${socket.remoteAddress} ${socket.remotePort}`
    const guest = this.#unknown.get(place)
    const shown = remoteIdentityOf(socket)
    if (guest === undefined || shown === undefined || this.#isStopping) {
      socket.destroy()
      return
    }
    this.#unknown.delete(place)
    guest.known()
    const member = this.#options.memberOf(shown.fingerprint)
    const who = member?.name ?? socket.remoteAddress ?? 'a peer'
    const connection = new Connection({ who, member, shown, traffic: this.#options.traffic })
    connection.attach(socket)
    connection.listen(socket)
    this.#next(connection, this.#limits.firstMs)
  }

  #next(connection: Connection, patienceMs: number): void {
    if (this.#isStopping) {
      connection.die(connection.failure('the agent is stopping'))
      return
    }
    const line = new Line(connection, () => this.#next(connection, this.#limits.idleMs))
    void this.#answer(connection, line, patienceMs)
  }

  async #answer(connection: Connection, line: Line, ms: number): Promise<void> {
    this.#resting.add(connection)
    const first = await line.receive({ signal: never, ms }).catch(() => undefined)
    this.#resting.delete(connection)
    if (first === undefined || this.#isStopping) return line.destroy()
    this.#busy += 1
    try {
      await this.#options.onExchange(first, line)
    } catch {
      // Told to the other side, if it can be, by whoever threw it: here it is over in either case.
    } finally {
      line.end()
      this.#busy -= 1
      this.#onLess?.()
    }
  }

  async #until(reached: () => boolean, ms: number): Promise<void> {
    if (reached()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onLess = () => {
        if (reached()) resolve()
      }
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#onLess = undefined
  }
}
