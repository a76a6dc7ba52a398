import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { peerCertificate } from '../connections/peer-certificate.ts'
import { ClientGone, HttpExchange, type RequestOrigin } from './http-exchange.ts'

/** An exchange over HTTP/1.1. */
export class Http1Exchange extends HttpExchange {
  readonly protocol = 'http/1.1'
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #isLastOnConnection: () => boolean
  #isFinished = false
  #isEvicted = false

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: {
      origin: RequestOrigin
      onEnded: (exchange: HttpExchange) => void
      isLastOnConnection: () => boolean
    },
  ) {
    super(request, response, options.origin, options.onEnded)
    this.#request = request
    this.#response = response
    this.#isLastOnConnection = options.isLastOnConnection
    response.on('finish', () => {
      this.#isFinished = true
    })
  }

  /** A response whose socket is destroyed, but not closed yet, would keep the bytes and never call `onDone`. */
  override write(bytes: Uint8Array, onDone: (error: Error | null | undefined) => void): void {
    if (this.#request.socket.writable) super.write(bytes, onDone)
    else setImmediate(onDone, new ClientGone())
  }

  flush(): void {
    this.#response.flushHeaders()
  }

  /** Closes the socket with FIN after the written bytes: clients resume after an unexpected end, but not after RST. */
  abortAnswer(): void {
    this.#request.socket.destroySoon()
  }

  evict(): void {
    this.#isEvicted = true
    this.#request.socket.destroy()
  }

  protected get certificate(): Uint8Array | undefined {
    return peerCertificate(this.#request.socket)
  }

  protected adaptHeaders(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return this.#isLastOnConnection() ? { ...headers, Connection: 'close' } : headers
  }

  protected isDelivered(): boolean {
    return this.#isFinished && !this.#isEvicted && this.#request.socket.errored === null
  }
}
