import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { type Events, publish } from '../../observe/events.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Caller } from '../../ports/access.ts'
import type { Client } from '../connections/client.ts'
import type { ShareUser } from '../connections/fair-share.ts'
import type { RequestBody } from './request-body.ts'

/** What endpoints find out about a request; published with `request.ended`. */
export interface RequestFacts {
  route: string
  repository: Repository | undefined
  reference: string | undefined
  source: Events['request.ended']['source']
  cacheStatus: string | undefined
  error: string | undefined
  failedSource: string | undefined
  /** The whole manifest that the answer has. */
  manifest: Pick<Events['manifest.pulled'], 'digest' | 'mediaType' | 'size'> | undefined
}

/** What an HTTP/1.1 response and an HTTP/2 stream have in common. */
export interface OutgoingAnswer {
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown
  write(chunk: Uint8Array, onDone: (error: Error | null | undefined) => void): boolean
  end(): unknown
  end(chunk: Uint8Array): unknown
  on(event: 'close' | 'error', listener: () => void): unknown
}

/** The client of a request, and the connection that it uses. */
export interface RequestOrigin {
  readonly client: Client
  readonly connection: object
}

// Node's HTTP/1.1 parser accepts known methods only, but HTTP/2 accepts any, and each would become a metric series.
const KNOWN_METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
])

/** One request and its answer, over HTTP/1.1 or HTTP/2. Publishes `request.ended` once, when the exchange is over. */
export abstract class HttpExchange implements ShareUser {
  readonly method: string
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly client: Client
  readonly connection: object
  readonly facts: RequestFacts = {
    route: 'unknown',
    repository: undefined,
    reference: undefined,
    source: undefined,
    cacheStatus: undefined,
    error: undefined,
    failedSource: undefined,
    manifest: undefined,
  }
  abstract readonly protocol: 'http/1.1' | 'h2'
  /** The registry that the client has named in `ns`; the answer repeats it (OCI distribution spec, "Proxying"). */
  namespace: string | undefined
  readonly #outgoing: OutgoingAnswer
  /** Created on the first use of `signal`: most answers are sent before anything has to wait. */
  #abortController: AbortController | undefined
  readonly #startedAt = performance.now()
  readonly #onEnded: (exchange: HttpExchange) => void
  #status = 0
  #bytesWritten = 0
  #answeredAt: number | undefined
  /** How many writes the client has not taken yet. */
  #pendingWrites = 0
  #progressAt = 0
  #onAllTaken: (() => void) | undefined
  #isAborted = false

  constructor(
    request: { method?: string | undefined; url?: string | undefined; headers: IncomingHttpHeaders },
    outgoing: OutgoingAnswer,
    { client, connection }: RequestOrigin,
    onEnded: (exchange: HttpExchange) => void,
  ) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.headers = request.headers
    this.client = client
    this.connection = connection
    this.#outgoing = outgoing
    this.#onEnded = onEnded
    outgoing.on('error', ignore)
    outgoing.on('close', () => this.#end())
  }

  /** The host to which the client has sent the request, with its port. */
  get host(): string | undefined {
    const authority = this.headers[':authority']
    return this.headers.host ?? (typeof authority === 'string' ? authority : undefined)
  }

  /** Who asks, for access control. */
  get caller(): Caller {
    const { address, isLocal } = this.client
    const { authorization } = this.headers
    return { authorization, certificate: this.certificate, address, isLocal }
  }

  /** Aborted when the client closes its connection or stream before it has its whole answer. */
  get signal(): AbortSignal {
    if (this.#abortController === undefined) {
      this.#abortController = new AbortController()
      if (this.#isAborted) this.#abortController.abort(new ClientGone())
    }
    return this.#abortController.signal
  }

  /** The client closed its connection or stream before it had its whole answer. */
  get isClientGone(): boolean {
    return this.#isAborted
  }

  get state(): 'unanswered' | 'answering' | 'answered' {
    if (this.#answeredAt !== undefined) return 'answered'
    return this.#status === 0 ? 'unanswered' : 'answering'
  }

  /** When the client last took bytes; undefined while there is nothing for it to take. */
  get notTakenSince(): number | undefined {
    if (this.#answeredAt !== undefined) return Math.max(this.#answeredAt, this.#progressAt)
    return this.#pendingWrites > 0 ? this.#progressAt : undefined
  }

  /** Sends a whole answer at once. For HEAD the body is left out, but not its length. */
  answer(status: number, headers: OutgoingHttpHeaders, body: Uint8Array): void {
    this.begin(status, headers)
    this.#answeredAt = performance.now()
    if (this.method === 'HEAD' || body.length === 0) {
      this.#outgoing.end()
    } else {
      this.#bytesWritten += body.length
      this.#outgoing.end(body)
    }
  }

  /** Sets the status and headers, which HTTP/1.1 sends with the first write or on `flush`. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    if (this.namespace !== undefined) headers['OCI-Namespace'] = this.namespace
    this.#outgoing.writeHead(status, this.adaptHeaders(headers))
    // Set after `writeHead`, which throws on an invalid header: the exchange can still be answered with an error then.
    this.#status = status
  }

  /** Calls `onDone` when the bytes have left this process, or never will. */
  write(bytes: Uint8Array, onDone: (error: Error | null | undefined) => void): void {
    if (this.#pendingWrites === 0) this.#progressAt = performance.now()
    this.#pendingWrites += 1
    this.#outgoing.write(bytes, (error) => {
      this.#pendingWrites -= 1
      this.#progressAt = performance.now()
      // What a client that hangs up has left in this process was not sent.
      if (!error) this.#bytesWritten += bytes.length
      onDone(error)
      if (this.#pendingWrites === 0) this.#onAllTaken?.()
    })
  }

  /** Calls back when the client has taken everything that was written so far. */
  protected whenAllTaken(callback: () => void): void {
    if (this.#pendingWrites === 0) callback()
    else this.#onAllTaken = callback
  }

  finish(): void {
    this.#answeredAt = performance.now()
    this.#outgoing.end()
  }

  abstract get body(): RequestBody
  /** Sees to it that what no endpoint has received of the body does not come, or is dropped. Called once. */
  abstract dropBody(): void
  /** Sends the headers now, if they are not sent yet. */
  abstract flush(): void
  /** Ends the answer early, in a way that the client cannot mistake for its regular end. */
  abstract abortAnswer(): void
  /** Ends the answer at once, and drops what the client has not taken yet. */
  abstract evict(): void
  protected abstract readonly certificate: Uint8Array | undefined
  protected abstract adaptHeaders(headers: OutgoingHttpHeaders): OutgoingHttpHeaders
  protected abstract isDelivered(): boolean

  #end(): void {
    const { route, repository, reference, source, cacheStatus, error, failedSource, manifest } = this.facts
    this.#isAborted = this.#answeredAt === undefined || !this.isDelivered()
    if (this.#isAborted) this.#abortController?.abort(new ClientGone())
    // Not spread: in V8 an object with a spread is slow to create and to collect, and every request publishes one.
    publish('request.ended', {
      route,
      repository,
      reference,
      source,
      cacheStatus,
      error,
      failedSource,
      method: KNOWN_METHODS.has(this.method) ? this.method : 'OTHER',
      code: this.#status,
      ms: performance.now() - this.#startedAt,
      bytes: this.#bytesWritten,
      protocol: this.protocol,
      aborted: this.#isAborted,
      client: this.client.address,
    })
    if (manifest !== undefined && repository !== undefined && !this.#isAborted) {
      const tag = reference === manifest.digest ? undefined : reference
      publish('manifest.pulled', { repository, tag, ...manifest, client: this.client.address })
    }
    this.#onEnded(this)
  }
}

/** The reason of an aborted `HttpExchange.signal`. No answer can be sent any more. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed its connection')
    this.name = 'ClientGone'
  }
}

// The `close` event and the callbacks of writes report every failure of a response.
function ignore(): void {}
