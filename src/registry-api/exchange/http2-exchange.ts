import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { whenWriteQueueEmpty } from '../connections/http2/write-queue.ts'
import { peerCertificate } from '../connections/peer-certificate.ts'
import { HttpExchange, type OutgoingAnswer, type RequestOrigin } from './http-exchange.ts'
import { RequestBody } from './request-body.ts'

/** An exchange over one HTTP/2 stream. */
export class Http2Exchange extends HttpExchange {
  readonly protocol = 'h2'
  readonly #stream: ServerHttp2Stream
  readonly #socket: Socket
  readonly #onBodyBytes: (bytes: number) => void
  #body: RequestBody | undefined

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: {
      origin: RequestOrigin
      socket: Socket
      onEnded: (exchange: HttpExchange) => void
      /** Told how many bytes of the body have come. */
      onBodyBytes: (bytes: number) => void
    },
  ) {
    const request = {
      method: pseudoHeader(headers, ':method'),
      url: pseudoHeader(headers, ':path'),
      headers,
    }
    super(request, new Http2OutgoingAnswer(stream, options.socket), options.origin, options.onEnded)
    this.#stream = stream
    this.#socket = options.socket
    this.#onBodyBytes = options.onBodyBytes
  }

  get body(): RequestBody {
    this.#body ??= new RequestBody(this.#stream, lengthOf(this.#stream, this.headers), () => {
      this.#stream.on('data', (chunk: Uint8Array) => this.#onBodyBytes(chunk.length))
      if (this.headers.expect === '100-continue') this.#stream.additionalHeaders({ ':status': 100 })
    })
    return this.#body
  }

  /**
   * Nothing comes of a body that nobody reads, and Node closes its stream after the answer. A stream of which something
   * was read is closed here (RFC 9113 section 8.1: NO_ERROR after a whole answer).
   */
  dropBody(): void {
    if (this.#body === undefined || this.#body.isWhole || this.#body.isUntouched) return
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /** HTTP/2 sends headers at once. */
  flush(): void {}

  /** Destroys the stream: `close` would end the body regularly first, as if it were whole. */
  abortAnswer(): void {
    this.whenAllTaken(() => this.#stream.destroy(new Error('the answer was aborted')))
  }

  /** Bytes that the connection has taken from the stream stay in memory until they are sent, so it is closed, too. */
  evict(): void {
    if (this.notTakenSince !== undefined) this.#socket.destroy()
    this.#stream.destroy(new Error('the client reads too slowly'))
  }

  protected get certificate(): Uint8Array | undefined {
    return peerCertificate(this.#socket)
  }

  protected adaptHeaders(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return headers
  }

  protected isDelivered(): boolean {
    return !this.#stream.aborted && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
  }
}

/** Adapts an HTTP/2 stream to the interface of an HTTP/1.1 response. */
class Http2OutgoingAnswer implements OutgoingAnswer {
  readonly #stream: ServerHttp2Stream
  readonly #socket: Socket

  constructor(stream: ServerHttp2Stream, socket: Socket) {
    this.#stream = stream
    this.#socket = socket
  }

  writeHead(status: number, headers: OutgoingHttpHeaders): void {
    if (this.#isEnded) return
    this.#stream.respond(Object.assign({ ':status': status }, headers))
  }

  write(chunk: Uint8Array, onDone: (error: Error | null | undefined) => void): boolean {
    return this.#stream.write(chunk, (error) => {
      // Node 24 reports the last write of a destroyed stream as done while a part of it still has to be sent.
      if (error || this.#stream.destroyed) whenWriteQueueEmpty(this.#socket, () => onDone(error))
      else onDone(error)
    })
  }

  end(chunk?: Uint8Array): void {
    if (chunk === undefined || this.#isEnded) {
      this.#stream.end()
      return
    }
    this.#stream.end(chunk)
    this.#stream.once('close', () => {
      // `chunk` must not be garbage-collected before it is sent.
      const isSent = this.#stream.writableFinished && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
      if (!isSent) whenWriteQueueEmpty(this.#socket, () => void chunk)
    })
  }

  on(event: 'close' | 'error', listener: () => void): void {
    this.#stream.on(event, listener)
  }

  get #isEnded(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }
}

function lengthOf({ endAfterHeaders }: ServerHttp2Stream, headers: IncomingHttpHeaders): number | undefined {
  if (endAfterHeaders) return 0
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

function pseudoHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}
