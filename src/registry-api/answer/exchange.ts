import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { type Events, publish } from '../../observe/events.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Client } from '../connections/client.ts'
import { whenWriteQueueEmpty } from '../connections/write-queue.ts'
import type { Sender } from './seats.ts'

/** What the endpoints find out about a request, for whoever watches. */
export interface Findings {
  route: string
  repository: Repository | undefined
  reference: string | undefined
  source: Events['request.ended']['source']
  cacheStatus: string | undefined
  error: string | undefined
}

/** What the responses of both protocols have in common. */
interface Outgoing {
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown
  write(chunk: Uint8Array, done: (error: Error | null | undefined) => void): boolean
  end(): unknown
  end(chunk: Uint8Array): unknown
  on(event: 'close' | 'error', listener: () => void): unknown
}

/** Who asks, and over which connection. */
export interface Origin {
  readonly client: Client
  readonly connection: object
}

// Node's parser knows its methods, but HTTP/2 takes any word, and each would become a metric of its own.
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE'])

/** One request and its answer, the same for HTTP/1.1 and HTTP/2. Publishes `request.ended`, once, when it is over. */
export abstract class Exchange implements Sender {
  readonly method: string
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly client: Client
  readonly connection: object
  readonly findings: Findings = {
    route: 'unknown',
    repository: undefined,
    reference: undefined,
    source: undefined,
    cacheStatus: undefined,
    error: undefined,
  }
  abstract readonly protocol: 'http/1.1' | 'h2'
  readonly #outgoing: Outgoing
  /** Made only for those who look at it: most answers are given before anyone could wait. */
  #gone: AbortController | undefined
  readonly #startedAt = performance.now()
  readonly #onOver: (exchange: Exchange) => void
  #status = 0
  #bytes = 0
  #answeredAt: number | undefined
  /** Writes that the client has not taken yet. */
  #out = 0
  #movedAt = 0
  #onTaken: (() => void) | undefined
  #aborted = false

  constructor(
    request: { method?: string | undefined; url?: string | undefined; headers: IncomingHttpHeaders },
    outgoing: Outgoing,
    { client, connection }: Origin,
    onOver: (exchange: Exchange) => void,
  ) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.headers = request.headers
    this.client = client
    this.connection = connection
    this.#outgoing = outgoing
    this.#onOver = onOver
    outgoing.on('error', ignore)
    outgoing.on('close', () => this.#over())
  }

  /** Aborted when the client goes away before it has all of its answer. */
  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController()
      if (this.#aborted) this.#gone.abort(new ClientGone())
    }
    return this.#gone.signal
  }

  /** The client went away before it had all of its answer. */
  get isGone(): boolean {
    return this.#aborted
  }

  get state(): 'unanswered' | 'answering' | 'answered' {
    if (this.#answeredAt !== undefined) return 'answered'
    return this.#status === 0 ? 'unanswered' : 'answering'
  }

  /** Since when the client has taken nothing of what it was sent; undefined while nothing waits for it. */
  get waitsSince(): number | undefined {
    if (this.#answeredAt !== undefined) return Math.max(this.#answeredAt, this.#movedAt)
    return this.#out > 0 ? this.#movedAt : undefined
  }

  /** A whole answer at once. A body is left out for HEAD, as its length is not. */
  answer(status: number, headers: OutgoingHttpHeaders, body: Uint8Array): void {
    this.begin(status, headers)
    this.#answeredAt = performance.now()
    if (this.method === 'HEAD' || body.length === 0) {
      this.#outgoing.end()
    } else {
      this.#bytes += body.length
      this.#outgoing.end(body)
    }
  }

  /** The status and headers, which wait for the first write unless flushed. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    this.#outgoing.writeHead(status, this.adapted(headers))
    // Only now: it throws on a header that cannot be sent, and then there is still an error to answer.
    this.#status = status
  }

  /** `done` when the bytes have left this process, or never will. */
  write(bytes: Uint8Array, done: (error: Error | null | undefined) => void): void {
    this.#bytes += bytes.length
    if (this.#out === 0) this.#movedAt = performance.now()
    this.#out += 1
    this.#outgoing.write(bytes, (error) => {
      this.#out -= 1
      this.#movedAt = performance.now()
      done(error)
      if (this.#out === 0) this.#onTaken?.()
    })
  }

  /** Calls back once the client has taken all that was written so far. */
  protected whenTaken(then: () => void): void {
    if (this.#out === 0) then()
    else this.#onTaken = then
  }

  finish(): void {
    this.#answeredAt = performance.now()
    this.#outgoing.end()
  }

  /** Sends the headers now if they are still waiting. */
  abstract flush(): void
  /** Ends the answer so that nobody can take what came of it for the whole. */
  abstract cutShort(): void
  /** Ends the answer at once, whatever of it the client has not taken yet. */
  abstract evict(): void
  protected abstract adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders
  protected abstract deliveredWhole(): boolean

  #over(): void {
    const { route, repository, reference, source, cacheStatus, error } = this.findings
    this.#aborted = this.#answeredAt === undefined || !this.deliveredWhole()
    if (this.#aborted) this.#gone?.abort(new ClientGone())
    // Written out: spreading an object into a larger one makes it slow to create and to collect, and this is for every request.
    publish('request.ended', {
      route,
      repository,
      reference,
      source,
      cacheStatus,
      error,
      method: METHODS.has(this.method) ? this.method : 'OTHER',
      code: this.#status,
      ms: performance.now() - this.#startedAt,
      bytes: this.#bytes,
      protocol: this.protocol,
      aborted: this.#aborted,
    })
    this.#onOver(this)
  }
}

/** Nobody is left to be told. */
export class ClientGone extends Error {
  constructor() {
    super('the client went away')
    this.name = 'ClientGone'
  }
}

export class Http1Exchange extends Exchange {
  readonly protocol = 'http/1.1'
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #lastOnConnection: () => boolean
  #finished = false
  #isEvicted = false

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: { origin: Origin; onOver: (exchange: Exchange) => void; lastOnConnection: () => boolean },
  ) {
    super(request, response, options.origin, options.onOver)
    this.#request = request
    this.#response = response
    this.#lastOnConnection = options.lastOnConnection
    response.on('finish', () => {
      this.#finished = true
    })
  }

  /** A response whose socket has been destroyed, but not closed yet, would keep the bytes and never call `done`. */
  override write(bytes: Uint8Array, done: (error: Error | null | undefined) => void): void {
    if (this.#request.socket.writable) super.write(bytes, done)
    else setImmediate(done, new ClientGone())
  }

  flush(): void {
    this.#response.flushHeaders()
  }

  /** With FIN, after what is written already: clients resume after an unexpected end, but not after a reset. */
  cutShort(): void {
    this.#request.socket.destroySoon()
  }

  evict(): void {
    this.#isEvicted = true
    this.#request.socket.destroy()
  }

  protected adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return this.#lastOnConnection() ? { ...headers, Connection: 'close' } : headers
  }

  protected deliveredWhole(): boolean {
    return this.#finished && !this.#isEvicted && this.#request.socket.errored === null
  }
}

export class Http2Exchange extends Exchange {
  readonly protocol = 'h2'
  readonly #stream: ServerHttp2Stream
  readonly #socket: Socket

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: { origin: Origin; socket: Socket; onOver: (exchange: Exchange) => void },
  ) {
    const request = {
      method: pseudo(headers, ':method'),
      url: pseudo(headers, ':path'),
      headers,
    }
    super(request, new Http2Outgoing(stream, options.socket), options.origin, options.onOver)
    this.#stream = stream
    this.#socket = options.socket
  }

  /** HTTP/2 never holds headers back. */
  flush(): void {}

  /** Not `close`, which ends the body first, as if that were all of it. */
  cutShort(): void {
    this.whenTaken(() => this.#stream.destroy(new Error('the answer ends before its time')))
  }

  /** What its connection has taken of a stream stays in memory until it is sent, so the connection goes with it. */
  evict(): void {
    if (this.waitsSince !== undefined) this.#socket.destroy()
    this.#stream.destroy(new Error('the client takes nothing'))
  }

  protected adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return headers
  }

  protected deliveredWhole(): boolean {
    return !this.#stream.aborted && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
  }
}

/** A stream of HTTP/2, written to as if it were a response of HTTP/1.1. */
class Http2Outgoing implements Outgoing {
  readonly #stream: ServerHttp2Stream
  readonly #socket: Socket

  constructor(stream: ServerHttp2Stream, socket: Socket) {
    this.#stream = stream
    this.#socket = socket
  }

  writeHead(status: number, headers: OutgoingHttpHeaders): void {
    if (this.#isOver) return
    this.#stream.respond(Object.assign({ ':status': status }, headers))
  }

  write(chunk: Uint8Array, done: (error: Error | null | undefined) => void): boolean {
    return this.#stream.write(chunk, (error) => {
      // Of a destroyed stream, Node 24 reports the last write as done while some of it has still to be sent.
      if (error || this.#stream.destroyed) whenWriteQueueEmpty(this.#socket, () => done(error))
      else done(error)
    })
  }

  end(chunk?: Uint8Array): void {
    if (chunk === undefined || this.#isOver) {
      this.#stream.end()
      return
    }
    this.#stream.end(chunk)
    this.#stream.once('close', () => {
      // Until then `chunk` must not be collected.
      const isSent = this.#stream.writableFinished && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
      if (!isSent) whenWriteQueueEmpty(this.#socket, () => void chunk)
    })
  }

  on(event: 'close' | 'error', listener: () => void): void {
    this.#stream.on(event, listener)
  }

  get #isOver(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }
}

function pseudo(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

// What goes wrong with a response is told by `close` and by the callbacks of its writes.
function ignore(): void {}
