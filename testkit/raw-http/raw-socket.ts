import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { within } from '../deadline.ts'

/** A connection that takes longer fails. */
const DIAL_MS = 60_000

/** Where a server listens on 127.0.0.1. With an authority it speaks TLS. */
export interface Target {
  readonly port: number
  readonly ca?: string | undefined
}

/** A connection whose reading is controlled: it reads nothing until it is told to. Never throws when it is broken. */
export class RawSocket {
  readonly #tcp: Socket
  readonly #stream: Socket
  readonly #closed: Promise<void>
  readonly #ended: Promise<void>
  readonly #sending = new Set<() => void>()
  #received = 0
  #trickle: NodeJS.Timeout | undefined
  #onBytes: (bytes: Buffer) => void = () => {}
  #error: NodeJS.ErrnoException | undefined

  /** Fails when the server does not take the connection. */
  static async dial(
    target: Target,
    protocol: 'h2' | 'http/1.1',
    { patienceMs = DIAL_MS }: { patienceMs?: number | undefined } = {},
  ): Promise<RawSocket> {
    const tcp = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true, noDelay: true })
    try {
      await within(patienceMs, 'a connection', once(tcp, 'connect'))
      if (target.ca === undefined) return new RawSocket(tcp, tcp)
      const tls = connectTls({
        socket: tcp,
        host: '127.0.0.1',
        ca: target.ca,
        ALPNProtocols: [protocol],
      })
      // It says that it is broken once more while the handshake is given up.
      tls.on('error', () => {})
      await within(patienceMs, 'a TLS handshake', Promise.race([once(tls, 'secureConnect'), failed(tls)]))
      return new RawSocket(tcp, tls)
    } catch (error) {
      tcp.on('error', () => {})
      tcp.destroy()
      throw error
    }
  }

  private constructor(tcp: Socket, stream: Socket) {
    this.#tcp = tcp
    this.#stream = stream
    tcp.on('error', () => {})
    stream.pause()
    stream.on('error', (error) => {
      this.#error ??= error
    })
    stream.on('data', (bytes: Buffer) => {
      this.#received += bytes.length
      this.#onBytes(bytes)
    })
    this.#closed = new Promise((resolve) => {
      stream.once('close', () => {
        clearInterval(this.#trickle)
        for (const over of this.#sending) over()
        resolve()
      })
    })
    this.#ended = new Promise((resolve) => {
      stream.once('end', resolve)
      stream.once('close', resolve)
    })
  }

  /** Bytes that were read, without those of TLS. */
  get received(): number {
    return this.#received
  }

  get isOpen(): boolean {
    return !this.#stream.destroyed && this.#stream.writable
  }

  /** Nothing more will come. */
  get isOver(): boolean {
    return this.#stream.destroyed || this.#stream.readableEnded
  }

  get error(): NodeJS.ErrnoException | undefined {
    return this.#error
  }

  /** When the connection is gone. A socket that does not read learns of it late or never. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** When the other side has said that it has nothing more to send, or the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended
  }

  onBytes(listener: (bytes: Buffer) => void): void {
    this.#onBytes = listener
  }

  /** Reads all that comes. */
  readAll(): void {
    clearInterval(this.#trickle)
    this.#stream.resume()
  }

  /** Reads nothing more: what comes stays in the kernel, and then in the server. */
  stopReading(): void {
    clearInterval(this.#trickle)
    this.#stream.pause()
  }

  /** Reads so many bytes each time. */
  readSlowly({ bytes, everyMs }: { bytes: number; everyMs: number }): void {
    this.stopReading()
    this.#trickle = setInterval(() => {
      const there = Math.min(bytes, this.#stream.readableLength)
      this.#stream.read(there)
    }, everyMs)
  }

  /** Resolves when the kernel has taken the bytes, or the connection is gone: a server that does not read holds it up. */
  send(bytes: Uint8Array | string): Promise<void> {
    if (!this.isOpen) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        this.#sending.delete(over)
        resolve()
      }
      this.#sending.add(over)
      if (typeof bytes === 'string') this.#stream.write(bytes, 'latin1', over)
      else this.#stream.write(bytes, over)
    })
  }

  /** Says that it has nothing more to send, and may still read. */
  halfClose(): void {
    this.#stream.end()
  }

  /** Ends with FIN when all that came was read; the kernel makes it RST otherwise. */
  close(): void {
    this.#stream.destroy()
    this.#tcp.destroy()
  }

  /** Ends with RST. */
  reset(): void {
    clearInterval(this.#trickle)
    if (!this.#tcp.destroyed) this.#tcp.resetAndDestroy()
    this.#stream.destroy()
  }
}

async function failed(socket: Socket): Promise<never> {
  const [error] = await once(socket, 'close')
  throw new Error(`the connection was closed during the handshake${error === true ? ' by an error' : ''}`)
}
