import type { SecureContext } from 'node:tls'
import { type Dispatcher, errors, request as sendWithUndici } from 'undici'
import { unlessAborted } from '../../lib/async/abort.ts'
import { HttpHeaders } from '../../lib/http1/headers.ts'
import { createDispatcher, type Proxies } from '../../lib/undici/dispatcher.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import { failureOf, tooLate, tooLong } from '../http/http-failure.ts'
import type { HttpRequest, HttpResponse, HttpResponseBody, SendRequest } from '../http/messages.ts'
import type { AddressScope } from '../options/address-scope.ts'
import { type Lookup, lookupWithin } from '../options/scoped-lookup.ts'

const CONNECTIONS_PER_ORIGIN = 16
const KEEP_ALIVE_MS = 30_000
/** The longest silence within a body. It ends responses, such as lists of tags, whose progress no flight watches. */
const BODY_SILENCE_MS = 30_000
const FORM_TYPE = 'application/x-www-form-urlencoded'

export interface UndiciOptions {
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
  readonly connectMs: number
  readonly headerMs: number
  readonly lookup: Lookup | undefined
  readonly proxies: Proxies | undefined
}

function headersOf(raw: Dispatcher.ResponseData['headers']): HttpHeaders {
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(raw)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) pairs.push([name, one])
  }
  return new HttpHeaders(pairs)
}

/** Sends requests with undici: all but blobs, and blobs through a proxy or of undeclared length. */
export class UndiciClient {
  readonly #options: UndiciOptions
  /** Each scope limit has a dispatcher, because a connection may be used only under the limit that it was opened with. */
  readonly #dispatchers = new Map<AddressScope, Dispatcher>()

  constructor(options: UndiciOptions) {
    this.#options = options
  }

  readonly send: SendRequest = async (request) => {
    const { url, method, form, signal } = request
    signal.throwIfAborted()
    try {
      const { statusCode, headers, body } = await sendWithUndici(url, {
        method,
        headers: form === undefined ? request.headers : { ...request.headers, 'content-type': FORM_TYPE },
        ...(form === undefined ? {} : { body: form }),
        dispatcher: this.#dispatcherFor(request.scopeLimit),
        // Without this, undici closes the connection after every HEAD.
        reset: false,
        signal,
      })
      const responseHeaders = headersOf(headers)
      return {
        status: statusCode,
        headers: responseHeaders,
        body: new StreamBody(body, responseHeaders, request),
      } satisfies HttpResponse
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof errors.HeadersTimeoutError) throw tooLate(url, 'no answer', this.#options.headerMs)
      if (error instanceof errors.ConnectTimeoutError)
        throw tooLate(url, 'no connection', this.#options.connectMs)
      throw failureOf(error, url)
    }
  }

  async close(): Promise<void> {
    const all = [...this.#dispatchers.values()]
    this.#dispatchers.clear()
    await Promise.all(
      all.map((dispatcher) => dispatcher.destroy(new Failure('stopping', 'the agent is stopping'))),
    )
  }

  #dispatcherFor(scopeLimit: AddressScope): Dispatcher {
    let found = this.#dispatchers.get(scopeLimit)
    if (found === undefined) {
      found = this.#makeDispatcher(scopeLimit)
      this.#dispatchers.set(scopeLimit, found)
    }
    return found
  }

  #makeDispatcher(scopeLimit: AddressScope): Dispatcher {
    const { secureContext, rejectUnauthorized, connectMs, headerMs, lookup, proxies } = this.#options
    const tls = { rejectUnauthorized, ...(secureContext === undefined ? {} : { secureContext }) }
    // A proxy resolves names itself, so that only literal addresses and names such as localhost are checked behind one.
    const connect = { timeout: connectMs, lookup: lookupWithin(scopeLimit, lookup) }
    const settings = {
      connections: CONNECTIONS_PER_ORIGIN,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: headerMs,
      bodyTimeout: BODY_SILENCE_MS,
      connect,
    }
    return createDispatcher(settings, { tls, proxies })
  }
}

class StreamBody implements HttpResponseBody {
  readonly length: number | undefined
  readonly #body: Dispatcher.ResponseData['body']
  readonly #request: HttpRequest
  #isUsed = false

  constructor(body: Dispatcher.ResponseData['body'], headers: HttpHeaders, request: HttpRequest) {
    const declared = headers.get('content-length')
    this.length = declared !== undefined && /^\d{1,15}$/.test(declared) ? Number(declared) : undefined
    this.#body = body
    this.#request = request
    // Without a listener, a body that fails before it is read would end the process.
    body.on('error', () => {})
  }

  async readInto(intake: Intake, { skip, limit }: { skip: number; limit: number }): Promise<void> {
    const { url, signal } = this.#request
    this.#isUsed = true
    let skipBytes = skip
    let readBytes = 0
    let isFull = false
    try {
      if (this.length !== undefined && this.length - skip > limit) throw tooLong(url, limit)
      for await (const chunk of this.#body as AsyncIterable<Buffer>) {
        signal.throwIfAborted()
        if (isFull) await unlessAborted(intake.drained(), signal)
        isFull = false
        const skipped = Math.min(skipBytes, chunk.length)
        skipBytes -= skipped
        let rest = chunk.subarray(skipped)
        readBytes += rest.length
        if (readBytes > limit) throw tooLong(url, limit)
        while (rest.length > 0) {
          const memory = intake.buffer()
          const length = Math.min(memory.length, rest.length)
          memory.set(rest.subarray(0, length))
          rest = rest.subarray(length)
          if (!intake.filled(length)) isFull = true
          if (isFull && rest.length > 0) {
            await unlessAborted(intake.drained(), signal)
            isFull = false
          }
        }
      }
      if (skipBytes > 0)
        throw new Failure('unavailable', `${url.host}: the content ended before the offset`, {
          source: url.host,
        })
    } catch (error) {
      signal.throwIfAborted()
      throw failureOf(error, url)
    } finally {
      this.#body.destroy()
    }
  }

  dispose(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    // A short rest is read, so that the connection can be reused; a longer one closes it.
    this.#body.dump({ limit: 64 * 1024 }).catch(() => {})
  }
}
