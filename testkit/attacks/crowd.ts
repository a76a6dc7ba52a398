import { RawHttp1 } from '../raw-http/raw-http1.ts'
import { type Opening, RawHttp2 } from '../raw-http/raw-http2.ts'
import { RawSocket, type Target } from '../raw-http/raw-socket.ts'

/** An attacker that is kept waiting for longer goes on without: it is no reason for a test to fail. */
const PATIENCE_MS = 5000

/** The connections of one attack. All of them are closed when its signal is aborted, whatever they were waiting for. */
export class Crowd {
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

  /** How many were opened and are not closed yet as far as this side knows. */
  get open(): number {
    return [...this.#sockets].filter((socket) => !socket.isOver).length
  }

  /** Bytes of all connections. */
  get received(): number {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.received, this.#received)
  }

  /** How many frames of a type have come, over all connections. */
  frames(type: number): number {
    return this.#clients.reduce((sum, client) => sum + client.count(type), 0)
  }

  async socket(protocol: 'h2' | 'http/1.1'): Promise<RawSocket> {
    const socket = await RawSocket.dial(this.#target, protocol, { patienceMs: PATIENCE_MS })
    this.#take(socket)
    return socket
  }

  async http1(options: { reads?: boolean } = {}): Promise<RawHttp1> {
    const client = await RawHttp1.open(this.#target, { ...options, patienceMs: PATIENCE_MS })
    this.#take(client.socket)
    return client
  }

  /** Resolves when the server has sent its SETTINGS. */
  async http2(opening: Opening = {}): Promise<RawHttp2> {
    const client = await RawHttp2.open(this.#target, { ...opening, patienceMs: PATIENCE_MS })
    this.#take(client.socket)
    this.#clients.push(client)
    return client
  }

  /** Waits for nothing of the server. */
  async hastyHttp2(opening: Opening = {}): Promise<RawHttp2> {
    const client = await RawHttp2.begin(this.#target, { ...opening, patienceMs: PATIENCE_MS })
    this.#take(client.socket)
    this.#clients.push(client)
    return client
  }

  close(): void {
    this.#isClosed = true
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#closeAll()
  }

  #take(socket: RawSocket): void {
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
