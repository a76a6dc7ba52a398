import type { SecureContext } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent, errors, request as send } from 'undici'
import { unlessAborted } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import type { AddressScope } from '../options/address-scope.ts'
import type { Proxies } from '../options/options.ts'
import { type Lookup, lookupWithin } from '../options/scoped-lookup.ts'
import { type Exchange, type Reply, type ReplyBody, ReplyHeaders, type Request } from './exchange.ts'
import { failureOf, tooLate, tooLong } from './exchange-failure.ts'

const CONNECTIONS_EACH = 16
const KEEP_ALIVE_MS = 30_000
/** Against a body that stops for good where nobody watches its progress. */
const BODY_MS = 30_000

export interface UndiciOptions {
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
  readonly connectMs: number
  readonly headerMs: number
  readonly lookup: Lookup | undefined
  readonly proxies: Proxies | undefined
}

function headersOf(raw: Dispatcher.ResponseData['headers']): ReplyHeaders {
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(raw)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) pairs.push([name, one])
  }
  return new ReplyHeaders(pairs)
}

/** Exchanges over undici: everything small, and blobs where a proxy is in force or their length is not declared. */
export class UndiciExchange {
  readonly #options: UndiciOptions
  /** One for each scope limit, because a connection may be used only under the limit that it was opened with. */
  readonly #dispatchers = new Map<AddressScope, Dispatcher>()

  constructor(options: UndiciOptions) {
    this.#options = options
  }

  readonly exchange: Exchange = async (request) => {
    const { url, method, form, signal } = request
    signal.throwIfAborted()
    try {
      const { statusCode, headers, body } = await send(url, {
        method,
        headers: form === undefined ? request.headers : { ...request.headers, 'content-type': FORM },
        ...(form === undefined ? {} : { body: form }),
        dispatcher: this.#dispatcherFor(request.scopeLimit),
        // Else undici closes the connection after every HEAD.
        reset: false,
        signal,
      })
      const replied = headersOf(headers)
      return {
        status: statusCode,
        headers: replied,
        body: new StreamBody(body, replied, request),
      } satisfies Reply
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
    const settings: Agent.Options = {
      allowH2: false,
      connections: CONNECTIONS_EACH,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: headerMs,
      bodyTimeout: BODY_MS,
      connect: {
        ...tls,
        timeout: connectMs,
        lookup: lookupWithin(scopeLimit, lookup),
      },
    }
    if (proxies === undefined) return new Agent(settings)
    // A proxy resolves names itself: of what goes through one, only addresses and names such as localhost are checked.
    return new EnvHttpProxyAgent({
      ...settings,
      requestTls: tls,
      httpProxy: proxies.http ?? '',
      httpsProxy: proxies.https ?? '',
      noProxy: proxies.exceptions ?? '',
    })
  }
}

const FORM = 'application/x-www-form-urlencoded'

class StreamBody implements ReplyBody {
  readonly length: number | undefined
  readonly #body: Dispatcher.ResponseData['body']
  readonly #request: Request
  #used = false

  constructor(body: Dispatcher.ResponseData['body'], headers: ReplyHeaders, request: Request) {
    const declared = headers.get('content-length')
    this.length = declared !== undefined && /^\d{1,15}$/.test(declared) ? Number(declared) : undefined
    this.#body = body
    this.#request = request
    // A body that fails before anyone reads it must not bring the process down.
    body.on('error', () => {})
  }

  async readInto(intake: Intake, { skip, limit }: { skip: number; limit: number }): Promise<void> {
    const { url, signal } = this.#request
    this.#used = true
    let toSkip = skip
    let poured = 0
    let full = false
    try {
      if (this.length !== undefined && this.length - skip > limit) throw tooLong(url, limit)
      for await (const chunk of this.#body as AsyncIterable<Buffer>) {
        signal.throwIfAborted()
        if (full) await unlessAborted(intake.drained(), signal)
        full = false
        const skipped = Math.min(toSkip, chunk.length)
        toSkip -= skipped
        let rest = chunk.subarray(skipped)
        poured += rest.length
        if (poured > limit) throw tooLong(url, limit)
        while (rest.length > 0) {
          const memory = intake.buffer()
          const length = Math.min(memory.length, rest.length)
          memory.set(rest.subarray(0, length))
          rest = rest.subarray(length)
          if (!intake.filled(length)) full = true
          if (full && rest.length > 0) {
            await unlessAborted(intake.drained(), signal)
            full = false
          }
        }
      }
      if (toSkip > 0)
        throw new Failure('unavailable', `${url.host}: ended before the offset`, { source: url.host })
    } catch (error) {
      signal.throwIfAborted()
      throw failureOf(error, url)
    } finally {
      this.#body.destroy()
    }
  }

  dispose(): void {
    if (this.#used) return
    this.#used = true
    // Reads on where little is left, so that the connection can be used again.
    this.#body.dump({ limit: 64 * 1024 }).catch(() => {})
  }
}
