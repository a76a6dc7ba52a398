import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { type Events, publish } from '../observe/events.ts'
import type { Repository } from '../oci/repository.ts'
import type { Client } from './client.ts'

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

// Node's parser knows its methods, but HTTP/2 takes any word, and each would become a metric of its own.
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE'])

/** One request and its answer, the same for HTTP/1.1 and HTTP/2. Publishes `request.ended`, once, when it is over. */
export abstract class Exchange {
  readonly method: string
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly client: Client
  readonly findings: Findings = {
    route: 'unknown',
    repository: undefined,
    reference: undefined,
    source: undefined,
    cacheStatus: undefined,
    error: undefined,
  }
  protected abstract readonly protocol: 'http/1.1' | 'h2'
  readonly #outgoing: Outgoing
  /** Made only for those who look at it: most answers are given before anyone could wait. */
  #gone: AbortController | undefined
  readonly #startedAt = performance.now()
  readonly #onOver: () => void
  #status = 0
  #bytes = 0
  #ended = false
  #aborted = false

  constructor(
    request: { method?: string | undefined; url?: string | undefined; headers: IncomingHttpHeaders },
    outgoing: Outgoing,
    { client, onOver }: { client: Client; onOver: () => void },
  ) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.headers = request.headers
    this.client = client
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
    if (this.#ended) return 'answered'
    return this.#status === 0 ? 'unanswered' : 'answering'
  }

  /** A whole answer at once. A body is left out for HEAD, as its length is not. */
  answer(status: number, headers: OutgoingHttpHeaders, body: Uint8Array): void {
    this.begin(status, headers)
    this.#ended = true
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
    this.#outgoing.write(bytes, done)
  }

  finish(): void {
    this.#ended = true
    this.#outgoing.end()
  }

  /** Sends the headers now if they are still waiting. */
  abstract flush(): void
  /** Ends the answer so that nobody can take what came of it for the whole. */
  abstract cutShort(): void
  protected abstract adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders
  protected abstract deliveredWhole(): boolean

  #over(): void {
    const { route, repository, reference, source, cacheStatus, error } = this.findings
    this.#aborted = !this.#ended || !this.deliveredWhole()
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
    this.#onOver()
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
  protected readonly protocol = 'http/1.1'
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #lastOnConnection: () => boolean
  #finished = false

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: { client: Client; onOver: () => void; lastOnConnection: () => boolean },
  ) {
    super(request, response, options)
    this.#request = request
    this.#response = response
    this.#lastOnConnection = options.lastOnConnection
    response.on('finish', () => {
      this.#finished = true
    })
  }

  flush(): void {
    this.#response.flushHeaders()
  }

  /** With FIN, after what is written already: clients resume after an unexpected end, but not after a reset. */
  cutShort(): void {
    this.#request.socket.destroySoon()
  }

  protected adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return this.#lastOnConnection() ? { ...headers, Connection: 'close' } : headers
  }

  protected deliveredWhole(): boolean {
    return this.#finished && this.#request.socket.errored === null
  }
}

export class Http2Exchange extends Exchange {
  protected readonly protocol = 'h2'
  readonly #stream: Http2ServerResponse['stream']

  constructor(
    request: Http2ServerRequest,
    response: Http2ServerResponse,
    options: { client: Client; onOver: () => void; stallMs: number },
  ) {
    super(request, response, options)
    this.#stream = response.stream
    // HTTP/1.1 has one timer for the whole socket; here each stream has its own.
    response.setTimeout(options.stallMs, () => this.cutShort())
  }

  /** HTTP/2 never holds headers back. */
  flush(): void {}

  cutShort(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  protected adapted(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return headers
  }

  protected deliveredWhole(): boolean {
    return !this.#stream.aborted && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
  }
}

// What goes wrong with a response is told by `close` and by the callbacks of its writes.
function ignore(): void {}
