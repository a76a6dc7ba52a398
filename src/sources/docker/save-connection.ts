import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onAbort } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { DirectReader } from '../../lib/direct-reader.ts'
import type { ByteInput } from '../../lib/tar/tar-reader.ts'
import type { DockerHost } from './docker-host.ts'

export interface SaveRequest {
  readonly host: DockerHost
  /** With its version. */
  readonly path: string
  readonly deadlines: { readonly connectMs: number; readonly firstByteMs: number; readonly silenceMs: number }
  /** Explains why the daemon did not send everything. */
  readonly failureOf: (cause: unknown) => Error
  readonly signal: AbortSignal
}

const MAX_HEAD_BYTES = 16 * 1024
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)\b/
const SKIP_BYTES = 64 * 1024

/**
 * The answer to one GET of a Docker daemon, read by the kernel straight into the memory of whoever reads (see
 * `DirectReader`): streams of buffers take half a second more for 256 MiB, most of it to collect the buffers. The request is
 * one of HTTP/1.0, so that the body comes without chunks and ends with the connection; whether it is whole, its reader knows
 * by the end of the archive.
 */
export class SaveConnection implements ByteInput {
  readonly #socket: Socket
  readonly #request: SaveRequest
  readonly #reader = new DirectReader({
    isBlocked: () => this.#isBlocked,
    room: () => this.#target ?? Number.POSITIVE_INFINITY,
    filled: (length) => this.#answer(length),
    take: (bytes) => this.#take(bytes),
    overflowError: () => new Error('it has sent more bytes than were read'),
  })
  readonly #status = new Deferred<number>()
  #head = Buffer.alloc(0)
  #hasStatus = false
  /** The memory that the next bytes belong in, and who waits for them. */
  #target: Uint8Array | undefined
  #reading: Deferred<number> | undefined
  #failure: unknown
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined
  #stopListening: () => void = () => {}
  readonly #skipped = new Uint8Array(SKIP_BYTES)

  /** Sends the request, and gives the status once it has come. The caller closes the connection. */
  static async open(
    request: SaveRequest,
  ): Promise<{ readonly status: number; readonly body: SaveConnection }> {
    const { signal } = request
    signal.throwIfAborted()
    const body = new SaveConnection(request)
    body.#stopListening = onAbort(signal, () => body.#end(signal.reason))
    try {
      return { status: await body.#status.promise, body }
    } catch (error) {
      body.close()
      throw error
    }
  }

  private constructor(request: SaveRequest) {
    const { host, path, deadlines } = request
    this.#request = request
    this.#status.promise.catch(() => {})
    const { hostname, port } = new URL(host.origin)
    const name = hostname.replace(/^\[|\]$/g, '')
    const tls = host.tls
    const options = {
      ...(host.socketPath === undefined
        ? { host: name, port: Number(port) || (tls === undefined ? 80 : 443) }
        : { path: host.socketPath }),
      onread: { buffer: () => this.#reader.room(), callback: (length: number) => this.#onBytes(length) },
    }
    this.#socket =
      tls === undefined
        ? connectPlain(options)
        : connectTls({
            ...options,
            ...(/^[\d.]+$|:/.test(name) ? {} : { servername: name }),
            ca: tls.ca,
            cert: tls.cert,
            key: tls.key,
            rejectUnauthorized: tls.isVerified,
          })
    this.#waitAtMost(deadlines.connectMs, 'it takes no connection')
    this.#socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#socket.write(`GET ${path} HTTP/1.0\r\nHost: ${new URL(host.origin).host}\r\n\r\n`, 'latin1')
      this.#waitAtMost(deadlines.firstByteMs, 'it does not begin to answer')
    })
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('end', () => this.#end(undefined))
    this.#socket.on('close', () => this.#end(undefined))
  }

  /** Fills some of `target`; 0 at the end of the connection. One call at a time. */
  async read(target: Uint8Array): Promise<number> {
    if (target.length === 0) return 0
    const reading = new Deferred<number>()
    this.#target = target
    this.#reading = reading
    this.#guarded(() => this.#reader.resume())
    if (this.#reading !== undefined) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#hasEnded) return 0
      this.#waitAtMost(this.#request.deadlines.silenceMs, 'it has stopped sending')
      this.#socket.resume()
    }
    return reading.promise
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const count = await this.read(this.#skipped.subarray(0, Math.min(left, SKIP_BYTES)))
      if (count === 0) return
      left -= count
    }
  }

  close(): void {
    this.#end(new Error('the connection is closed'))
  }

  get #isBlocked(): boolean {
    return this.#hasStatus && this.#reading === undefined
  }

  /** Returns false to stop the reading until the socket is resumed. */
  #onBytes(length: number): boolean {
    this.#guarded(() => this.#reader.filled(length))
    return !this.#isBlocked
  }

  #take(bytes: Buffer): number {
    if (!this.#hasStatus) return this.#takeHead(bytes)
    const { length } = this.#target ?? bytes
    const count = Math.min(length, bytes.length)
    this.#target?.set(bytes.subarray(0, count))
    this.#answer(count)
    return count
  }

  #takeHead(bytes: Buffer): number {
    const before = this.#head.length
    this.#head = Buffer.concat([this.#head, bytes])
    const end = this.#head.indexOf('\r\n\r\n', 0, 'latin1') + 4
    if (end < 4 && this.#head.length <= MAX_HEAD_BYTES) return bytes.length
    const text = this.#head.toString('latin1', 0, end)
    const status = STATUS_LINE.exec(text)?.[1]
    if (end < 4 || status === undefined) throw new Error('this is not the API of a Docker daemon')
    if (/\r\ntransfer-encoding:/i.test(text)) {
      throw new Error('a proxy before it does not speak HTTP/1.0; reach the daemon without it')
    }
    clearTimeout(this.#timer)
    this.#head = Buffer.alloc(0)
    this.#hasStatus = true
    this.#status.resolve(Number(status))
    return end - before
  }

  /** Tells the reader how many bytes its memory has got. */
  #answer(count: number): void {
    clearTimeout(this.#timer)
    const reading = this.#reading
    this.#reading = undefined
    this.#target = undefined
    reading?.resolve(count)
  }

  #waitAtMost(ms: number, what: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fail(new Error(`${what} within ${ms / 1000} s`)), ms)
  }

  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(cause: unknown): void {
    this.#end(this.#request.failureOf(cause))
  }

  /** Frees the connection. `failure`: undefined when the daemon has ended it. */
  #end(failure: unknown): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#failure = failure
    clearTimeout(this.#timer)
    this.#stopListening()
    this.#socket.destroy()
    this.#status.reject(failure ?? this.#request.failureOf(new Error('it has closed the connection')))
    if (failure === undefined) this.#reading?.resolve(0)
    else this.#reading?.reject(failure)
    this.#reading = undefined
  }
}
