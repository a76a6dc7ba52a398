import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { within } from '../deadline.ts'

/** A connection that takes longer fails. */
const CONNECT_MS = 60_000

/** A server on 127.0.0.1, which uses TLS if it has a certificate authority. */
export interface Target {
  readonly port: number
  readonly ca?: string | undefined
}

/** A connection whose reading is controlled: it reads nothing at first. Its methods do not throw when it is broken. */
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

  /** Fails when the server does not accept the connection. */
  static async open(
    target: Target,
    protocol: 'h2' | 'http/1.1',
    { timeoutMs = CONNECT_MS }: { timeoutMs?: number | undefined } = {},
  ): Promise<RawSocket> {
    const tcp = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true, noDelay: true })
    try {
      await within(timeoutMs, 'a connection', once(tcp, 'connect'))
      if (target.ca === undefined) return new RawSocket(tcp, tcp)
      const tls = connectTls({
        socket: tcp,
        host: '127.0.0.1',
        ca: target.ca,
        ALPNProtocols: [protocol],
      })
      // The socket can report its error a second time after the handshake has failed.
      tls.on('error', () => {})
      await within(timeoutMs, 'a TLS handshake', Promise.race([once(tls, 'secureConnect'), failed(tls)]))
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

  /** How many bytes were read, without those of TLS. */
  get received(): number {
    return this.#received
  }

  get isOpen(): boolean {
    return !this.#stream.destroyed && this.#stream.writable
  }

  /** Whether no more bytes will come. */
  get isOver(): boolean {
    return this.#stream.destroyed || this.#stream.readableEnded
  }

  get error(): NodeJS.ErrnoException | undefined {
    return this.#error
  }

  /** Resolves when the connection is closed. A socket that does not read notices this late or never. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** Resolves when the server has sent FIN, or the connection is closed. */
  get ended(): Promise<void> {
    return this.#ended
  }

  onBytes(listener: (bytes: Buffer) => void): void {
    this.#onBytes = listener
  }

  /** Reads all bytes as they come. */
  readAll(): void {
    clearInterval(this.#trickle)
    this.#stream.resume()
  }

  /** Stops reading: further bytes stay in the kernel, and then in the server. */
  stopReading(): void {
    clearInterval(this.#trickle)
    this.#stream.pause()
  }

  /** Reads so many bytes at each interval. */
  readSlowly({ bytes, everyMs }: { bytes: number; everyMs: number }): void {
    this.stopReading()
    this.#trickle = setInterval(() => {
      const there = Math.min(bytes, this.#stream.readableLength)
      this.#stream.read(there)
    }, everyMs)
  }

  /** Resolves when the kernel has taken the bytes, which takes long while the server does not read, or when the connection is closed. */
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

  /** Sends FIN. Reading is still possible. */
  halfClose(): void {
    this.#stream.end()
  }

  /** Closes with FIN; the kernel sends RST instead if received bytes are unread. */
  close(): void {
    this.#stream.destroy()
    this.#tcp.destroy()
  }

  /** Closes with RST. */
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
