import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { peerCertificate } from '../connections/peer-certificate.ts'
import type { ReportRejection } from '../connections/rejections.ts'
import { closeGently } from './gentle-close.ts'
import { ClientGone, HttpExchange, type RequestOrigin } from './http-exchange.ts'
import { BrokenBody, ENDS_EARLY, RequestBody } from './request-body.ts'
import { dropBody, type UnwantedBodyLimits } from './unwanted-body.ts'

export interface Http1Options {
  readonly origin: RequestOrigin
  readonly onEnded: (exchange: HttpExchange) => void
  /** The client sends its body when it is told to, or after some time. */
  readonly expectsContinue: boolean
  readonly isDraining: () => boolean
  readonly unwantedBody: UnwantedBodyLimits
  readonly reportRejection: ReportRejection
}

/** An exchange over HTTP/1.1. */
export class Http1Exchange extends HttpExchange {
  readonly protocol = 'http/1.1'
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #options: Http1Options
  #body: RequestBody | undefined
  #isFinished = false
  #isEvicted = false
  /** The client was told to send the body for which it had not got leave. */
  #hasContinued = false
  #closesAfterAnswer = false

  constructor(request: IncomingMessage, response: ServerResponse, options: Http1Options) {
    super(request, response, options.origin, options.onEnded)
    this.#request = request
    this.#response = response
    this.#options = options
    // Node throws away a body that nobody has begun to read when the answer is sent, however long the body is.
    if (lengthOf(request) !== 0) request.read(0)
    response.on('finish', () => {
      this.#isFinished = true
      if (this.#closesAfterAnswer) closeGently(request.socket)
    })
  }

  get body(): RequestBody {
    this.#body ??= new RequestBody(this.#request, lengthOf(this.#request), () => {
      if (!this.#options.expectsContinue) return
      this.#hasContinued = true
      this.#response.writeContinue()
    })
    return this.#body
  }

  get hasBrokenBody(): boolean {
    return this.#body?.isBroken === true
  }

  dropBody(): void {
    if (this.#body === undefined ? lengthOf(this.#request) === 0 : this.#body.isWhole) return
    const { unwantedBody, reportRejection } = this.#options
    dropBody(this.#request, unwantedBody, { reportRejection, onExceeded: () => this.#closeAfterAnswer() })
  }

  /** The parser has rejected what the client sent: a part of the body, unless all of it has come already. */
  onMalformed(): void {
    if (!this.#request.complete) this.body.breakOff(new BrokenBody(ENDS_EARLY))
  }

  #closeAfterAnswer(): void {
    this.#request.pause()
    if (this.#isFinished) closeGently(this.#request.socket)
    else this.#closesAfterAnswer = true
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
    return this.#isLastOnConnection ? { ...headers, Connection: 'close' } : headers
  }

  /** A client that has not got 100 Continue may send its body or not, so its next bytes are ambiguous. */
  get #isLastOnConnection(): boolean {
    const { isDraining, expectsContinue } = this.#options
    return isDraining() || (expectsContinue && !this.#hasContinued) || this.hasBrokenBody
  }

  protected isDelivered(): boolean {
    return this.#isFinished && !this.#isEvicted && this.#request.socket.errored === null
  }
}

/** RFC 9112 section 6.3: a request without both headers has no body. */
function lengthOf({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}
