import type { LaneConnection } from '../../lanes/lane-connection.ts'
import type { LanePool } from '../../lanes/lane-pool.ts'
import type { LaneTls } from '../../lanes/thread/messages.ts'
import { onAbort, unlessAborted } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { IdleConnections } from '../../lib/http1/idle-connections.ts'
import type { ResponseHead } from '../../lib/http1/response-head.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import { failureOf, tooLate, tooLong } from '../http/http-failure.ts'
import type { HttpRequest, HttpResponse, HttpResponseBody, SendRequest } from '../http/messages.ts'
import { type Lookup, resolveWithin } from '../options/scoped-lookup.ts'

const IDLE_MS = 30_000
const MOST_UNDECLARED_ORIGINS = 256

export interface BlobClientOptions {
  readonly lanes: Pick<LanePool, 'connect'>
  readonly tls: LaneTls
  readonly connectMs: number
  readonly headerMs: number
  readonly lookup?: Lookup | undefined
  /** Sends what this client cannot: other methods, and requests to origins that do not declare the length of bodies. */
  readonly fallback: SendRequest
  readonly idleMs?: number
}

/** Sends GET requests for blobs over connections of the lanes, which read the bodies straight into the memory of the intake. */
export class BlobClient {
  readonly #options: BlobClientOptions
  readonly #idle: IdleConnections<LaneConnection>
  readonly #busy = new Set<LaneConnection>()
  /** Origins that do not declare the length of their bodies. */
  readonly #undeclared = new BoundedMap<string, true>(MOST_UNDECLARED_ORIGINS)
  #isClosed = false

  constructor(options: BlobClientOptions) {
    this.#options = options
    this.#idle = new IdleConnections(options.idleMs ?? IDLE_MS)
  }

  readonly send: SendRequest = async (request) => {
    const { url } = request
    if (request.method !== 'GET' || this.#undeclared.has(url.origin)) return this.#options.fallback(request)
    const { connection, head } = await this.#request(request)
    const hasContent = head.status === 200 || head.status === 206
    if (hasContent && head.length === 'undeclared') {
      connection.destroy()
      this.#undeclared.set(url.origin, true)
      return this.#options.fallback(request)
    }
    const body = new BlobResponseBody(connection, head, request, () => this.#release(connection, request))
    return { status: head.status, headers: head.headers, body } satisfies HttpResponse
  }

  close(): void {
    this.#isClosed = true
    this.#idle.destroyAll()
    for (const connection of this.#busy) connection.destroy()
  }

  async #request(request: HttpRequest): Promise<{ connection: LaneConnection; head: ResponseHead }> {
    const text = textOfHead(request)
    const key = keyOf(request)
    for (;;) {
      request.signal.throwIfAborted()
      const idle = this.#idle.take(key)
      let connection = idle
      try {
        connection ??= await this.#connect(request)
        this.#busy.add(connection)
        return { connection, head: await this.#awaitHead(connection, text, request) }
      } catch (error) {
        request.signal.throwIfAborted()
        // The server may close an idle connection just when it is reused, so a new connection is worth a try.
        if (idle !== undefined && !idle.hasReceived && !(error instanceof Failure)) {
          this.#idle.destroyAllOf(key)
          continue
        }
        throw failureOf(error, request.url)
      }
    }
  }

  async #connect({ url, scopeLimit, signal }: HttpRequest): Promise<LaneConnection> {
    if (this.#isClosed) throw new Failure('stopping', 'the agent is stopping')
    const { lanes, tls, connectMs, lookup } = this.#options
    const isTls = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
    const deadline = AbortSignal.timeout(connectMs)
    const either = AbortSignal.any([signal, deadline])
    try {
      const addresses = await unlessAborted(resolveWithin(host, scopeLimit, lookup), either)
      return await lanes.connect({ host, port, addresses, tls: isTls ? tls : undefined }, { signal: either })
    } catch (error) {
      if (!deadline.aborted || signal.aborted) throw error
      throw tooLate(url, 'no connection', connectMs)
    }
  }

  async #awaitHead(connection: LaneConnection, text: string, request: HttpRequest): Promise<ResponseHead> {
    const { headerMs } = this.#options
    connection.onClosed = () => this.#busy.delete(connection)
    const timer = setTimeout(() => connection.abort(tooLate(request.url, 'no answer', headerMs)), headerMs)
    const stop = onAbort(request.signal, () => connection.abort(request.signal.reason))
    try {
      return await connection.request(text)
    } catch (error) {
      connection.destroy()
      // The connection may have closed before `onClosed` was set.
      this.#busy.delete(connection)
      throw error
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  #release(connection: LaneConnection, request: HttpRequest): void {
    this.#busy.delete(connection)
    if (connection.isReusable && !this.#isClosed) this.#idle.add(keyOf(request), connection)
    else connection.destroy()
  }
}

/** A connection may be used only under the scope limit that it was opened with. */
function keyOf({ url, scopeLimit }: HttpRequest): string {
  return `${url.origin} ${scopeLimit}`
}

function textOfHead({ method, url, headers }: HttpRequest): string {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`]
  for (const [name, value] of Object.entries(headers)) {
    // A value with a line break would start another header.
    if (/[^\t\x20-\x7e]/.test(value)) throw new Failure('unavailable', `header ${name} cannot be sent`)
    lines.push(`${name}: ${value}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

class BlobResponseBody implements HttpResponseBody {
  readonly length: number | undefined
  readonly #connection: LaneConnection
  readonly #request: HttpRequest
  readonly #release: () => void
  #isUsed = false

  constructor(connection: LaneConnection, head: ResponseHead, request: HttpRequest, release: () => void) {
    this.length = head.length === 'undeclared' ? undefined : head.length
    this.#connection = connection
    this.#request = request
    this.#release = release
  }

  async readInto(intake: Intake, { skip, limit }: { skip: number; limit: number }): Promise<void> {
    const { signal, url } = this.#request
    this.#isUsed = true
    const stop = onAbort(signal, () => this.#connection.abort(signal.reason))
    try {
      signal.throwIfAborted()
      if (this.length !== undefined && this.length - skip > limit) throw tooLong(url, limit)
      await this.#connection.readBody(intake, skip)
      this.#release()
    } catch (error) {
      this.#connection.destroy()
      if (signal.aborted) throw signal.reason
      throw failureOf(error, url)
    } finally {
      stop()
    }
  }

  dispose(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    this.#connection.discardBody()
    this.#release()
  }
}
