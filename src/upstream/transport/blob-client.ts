import { LaneClient, type LaneResponse } from '../../lanes/lane-client.ts'
import type { LaneConnection } from '../../lanes/lane-connection.ts'
import type { LanePool } from '../../lanes/lane-pool.ts'
import type { LaneTls } from '../../lanes/thread/messages.ts'
import { unlessAborted } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
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
  readonly #client: LaneClient
  /** Origins that do not declare the length of their bodies. */
  readonly #undeclared = new BoundedMap<string, true>(MOST_UNDECLARED_ORIGINS)

  constructor(options: BlobClientOptions) {
    this.#options = options
    this.#client = new LaneClient(options.idleMs ?? IDLE_MS)
  }

  readonly send: SendRequest = async (request) => {
    const { url } = request
    if (request.method !== 'GET' || this.#undeclared.has(url.origin)) return this.#options.fallback(request)
    const response = await this.#request(request)
    const { status, headers } = response.head
    if ((status === 200 || status === 206) && response.length === undefined) {
      response.discard()
      this.#undeclared.set(url.origin, true)
      return this.#options.fallback(request)
    }
    return { status, headers, body: new BlobResponseBody(response, request) } satisfies HttpResponse
  }

  close(): void {
    this.#client.close(new Failure('stopping', 'the agent is stopping'))
  }

  async #request(request: HttpRequest): Promise<LaneResponse> {
    const { url, signal } = request
    const { headerMs } = this.#options
    try {
      return await this.#client.request({
        key: keyOf(request),
        text: textOfHead(request),
        signal,
        headMs: headerMs,
        late: () => tooLate(url, 'no answer', headerMs),
        connect: (options) => this.#connect(request, options),
      })
    } catch (error) {
      signal.throwIfAborted()
      throw failureOf(error, url)
    }
  }

  async #connect(
    { url, scopeLimit }: HttpRequest,
    { signal }: { signal: AbortSignal },
  ): Promise<LaneConnection> {
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
  readonly #response: LaneResponse
  readonly #request: HttpRequest

  constructor(response: LaneResponse, request: HttpRequest) {
    this.#response = response
    this.#request = request
  }

  get length(): number | undefined {
    return this.#response.length
  }

  async readInto(intake: Intake, { skip, limit }: { skip: number; limit: number }): Promise<void> {
    const { signal, url } = this.#request
    try {
      if (this.length !== undefined && this.length - skip > limit) throw tooLong(url, limit)
      await this.#response.readInto(intake, { skip, signal })
    } catch (error) {
      // Closes the connection where the body was not begun.
      this.#response.discard()
      signal.throwIfAborted()
      throw failureOf(error, url)
    }
  }

  dispose(): void {
    this.#response.discard()
  }
}
