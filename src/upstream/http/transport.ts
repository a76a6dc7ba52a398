import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import type { Deadlines, Proxies } from '../options/options.ts'
import { checkHostname, type Lookup } from '../options/scoped-lookup.ts'
import type { Exchange } from './exchange.ts'
import { failureOf } from './exchange-failure.ts'
import { UndiciExchange } from './undici-exchange.ts'
import { Wire } from './wire.ts'

export interface TransportOptions {
  readonly caFile: string | undefined
  readonly acceptInvalidCerts: boolean
  readonly proxies: Proxies | undefined
  /** Resolves host names; undefined: the system's resolver. */
  readonly lookup: Lookup | undefined
  readonly deadlines: Deadlines
}

interface Parts {
  readonly undici: UndiciExchange
  readonly wire: Wire
}

/** The connections of all upstreams with the same TLS settings, opened at the first request. */
export class Transport {
  readonly #options: TransportOptions
  #parts: Promise<Parts> | undefined
  #closed = false

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** For everything but blobs. */
  readonly small: Exchange = (request) =>
    checked(request, async () => (await this.#open()).undici.exchange(request))

  /** For blobs: reads sockets directly, except through a proxy. */
  readonly bulk: Exchange = (request) =>
    this.#options.proxies === undefined
      ? checked(request, async () => (await this.#open()).wire.exchange(request))
      : this.small(request)

  async close(): Promise<void> {
    this.#closed = true
    const parts = await this.#parts?.catch(() => undefined)
    parts?.wire.close()
    await parts?.undici.close()
  }

  #open(): Promise<Parts> {
    if (this.#closed) return Promise.reject(new Failure('stopping', 'the agent is stopping'))
    if (this.#parts === undefined) {
      const parts = this.#make()
      this.#parts = parts
      // A certificate file that could not be read may exist at the next request.
      parts.catch(() => {
        if (this.#parts === parts) this.#parts = undefined
      })
    }
    return this.#parts
  }

  async #make(): Promise<Parts> {
    const { caFile, acceptInvalidCerts, proxies, lookup, deadlines } = this.#options
    const secureContext = caFile === undefined ? undefined : await contextTrusting(caFile)
    const { connectMs, headerMs } = deadlines
    const common = { secureContext, rejectUnauthorized: !acceptInvalidCerts, connectMs, headerMs, lookup }
    const undici = new UndiciExchange({ ...common, proxies })
    return { undici, wire: new Wire({ ...common, fallback: undici.exchange }) }
  }
}

/** Keeps the usual authorities, because redirects lead from a private registry to public storage. */
async function contextTrusting(caFile: string): Promise<SecureContext> {
  try {
    return createSecureContext({ ca: [...rootCertificates, await readFile(caFile, 'utf8')] })
  } catch (error) {
    throw new Failure('unavailable', `${caFile} cannot be used as a certificate authority`, { cause: error })
  }
}

const published = async (
  request: Parameters<Exchange>[0],
  exchange: () => ReturnType<Exchange>,
): ReturnType<Exchange> => {
  const started = performance.now()
  let status: number | undefined
  try {
    const reply = await exchange()
    status = reply.status
    return reply
  } finally {
    const { url, kind, method } = request
    publish('upstream.answered', { host: url.host, kind, method, status, ms: performance.now() - started })
  }
}

/** Every request is checked here before a connection is chosen. */
const checked: typeof published = async (request, exchange) => {
  const { url, scopeLimit } = request
  try {
    checkHostname(url.hostname, scopeLimit)
  } catch (error) {
    throw failureOf(error, url)
  }
  return published(request, exchange)
}
