import { RawHttp1 } from '../raw-http/raw-http1.ts'
import { type Opening, RawHttp2 } from '../raw-http/raw-http2.ts'
import { RawSocket, type Target } from '../raw-http/raw-socket.ts'

/** An attacker does not wait longer than this for the server; a timeout does not fail the test. */
const TIMEOUT_MS = 5000

/** The connections of one attack. All of them are closed when the signal of the attack is aborted. */
export class ConnectionGroup {
  readonly #target: Target
  readonly #signal: AbortSignal
  readonly #sockets = new Set<RawSocket>()
  readonly #clients: RawHttp2[] = []
  readonly #onAbort = (): void => this.#closeAll()
  #received = 0
  #isClosed = false

  constructor(target: Target, signal: AbortSignal) {
    this.#target = target
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort)
  }

  /** How many connections are open, as far as the attacker knows. */
  get open(): number {
    return [...this.#sockets].filter((socket) => !socket.isOver).length
  }

  /** The bytes received on all connections. */
  get received(): number {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.received, this.#received)
  }

  /** How many frames of a type were received on all connections. */
  countFrames(type: number): number {
    return this.#clients.reduce((sum, client) => sum + client.count(type), 0)
  }

  async openSocket(protocol: 'h2' | 'http/1.1'): Promise<RawSocket> {
    const socket = await RawSocket.open(this.#target, protocol, { timeoutMs: TIMEOUT_MS })
    this.#add(socket)
    return socket
  }

  async openHttp1(options: { reads?: boolean } = {}): Promise<RawHttp1> {
    const client = await RawHttp1.open(this.#target, { ...options, timeoutMs: TIMEOUT_MS })
    this.#add(client.socket)
    return client
  }

  /** Resolves when the server has sent its SETTINGS. */
  async openHttp2(opening: Opening = {}): Promise<RawHttp2> {
    const client = await RawHttp2.open(this.#target, { ...opening, timeoutMs: TIMEOUT_MS })
    this.#add(client.socket)
    this.#clients.push(client)
    return client
  }

  /** Opens a connection without waiting for SETTINGS of the server. */
  async openHttp2WithoutWaiting(opening: Opening = {}): Promise<RawHttp2> {
    const client = await RawHttp2.begin(this.#target, { ...opening, timeoutMs: TIMEOUT_MS })
    this.#add(client.socket)
    this.#clients.push(client)
    return client
  }

  close(): void {
    this.#isClosed = true
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#closeAll()
  }

  #add(socket: RawSocket): void {
    this.#sockets.add(socket)
    if (this.#isClosed || this.#signal.aborted) socket.close()
  }

  #closeAll(): void {
    for (const socket of this.#sockets) {
      socket.close()
      this.#received += socket.received
    }
    this.#sockets.clear()
  }
}
