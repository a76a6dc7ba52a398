import { createSecureContext } from 'node:tls'
import type { LanePool } from '../../lanes/lane-pool.ts'
import { authoritiesWith } from '../../lib/authorities.ts'
import { FileProblem, WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import { failureOf } from '../http/http-failure.ts'
import type { HttpRequest, HttpResponse, SendRequest } from '../http/messages.ts'
import type { Deadlines, Proxies } from '../options/options.ts'
import { checkHostname, type Lookup } from '../options/scoped-lookup.ts'
import { BlobClient } from './blob-client.ts'
import { UndiciClient } from './undici-client.ts'

export interface TransportOptions {
  readonly caFile: string | undefined
  readonly acceptInvalidCerts: boolean
  readonly proxies: Proxies | undefined
  /** Resolves host names; undefined for the system's resolver. */
  readonly lookup: Lookup | undefined
  readonly deadlines: Deadlines
  /** Read the bodies of blobs; without them undici does. */
  readonly lanes?: LanePool | undefined
  /** Whether the answers are counted as those of registries; default: they are. */
  readonly isCounted?: boolean
}

interface Clients {
  readonly undici: UndiciClient
  readonly blobs: BlobClient | undefined
}

/** The connections of all upstreams with the same TLS settings, opened at the first request. */
export class Transport {
  readonly #options: TransportOptions
  #clients: Promise<Clients> | undefined
  #isClosed = false

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** Sends all requests but those for blobs, with undici. */
  readonly send: SendRequest = (request) =>
    this.#checked(request, async () => (await this.#clientsFor()).undici.send(request))

  /** Sends requests for blobs. Lanes read the bodies, except through a proxy. */
  readonly sendForBlob: SendRequest = (request) =>
    this.#checked(request, async () => {
      const { undici, blobs } = await this.#clientsFor()
      return (blobs ?? undici).send(request)
    })

  /** Reads the certificates of the settings. Rejects with a `FileProblem` if they cannot be used. */
  async open(): Promise<void> {
    if (this.#options.caFile !== undefined) await this.#openOnce()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const clients = await this.#clients?.catch(() => undefined)
    clients?.blobs?.close()
    await clients?.undici.close()
  }

  /** Sends a request after checking its host name, and publishes the outcome as an event. */
  async #checked(request: HttpRequest, send: () => Promise<HttpResponse>): Promise<HttpResponse> {
    const { url, scopeLimit } = request
    try {
      checkHostname(url.hostname, scopeLimit)
    } catch (error) {
      throw failureOf(error, url)
    }
    return this.#options.isCounted === false ? send() : published(request, send)
  }

  async #clientsFor(): Promise<Clients> {
    try {
      return await this.#openOnce()
    } catch (error) {
      throw error instanceof FileProblem ? new Failure('unavailable', error.message, { cause: error }) : error
    }
  }

  #openOnce(): Promise<Clients> {
    if (this.#isClosed) return Promise.reject(new Failure('stopping', 'the agent is stopping'))
    if (this.#clients === undefined) {
      const clients = this.#open()
      this.#clients = clients
      // A certificate file that could not be read may exist at the next request.
      clients.catch(() => {
        if (this.#clients === clients) this.#clients = undefined
      })
    }
    return this.#clients
  }

  async #open(): Promise<Clients> {
    const { caFile, acceptInvalidCerts, proxies, lookup, deadlines, lanes } = this.#options
    const ca = caFile === undefined ? undefined : await authoritiesOf(caFile)
    const secureContext = ca && createSecureContext({ ca })
    const rejectUnauthorized = !acceptInvalidCerts
    const { connectMs, headerMs } = deadlines
    const common = { connectMs, headerMs, lookup }
    const undici = new UndiciClient({ ...common, secureContext, rejectUnauthorized, proxies })
    if (lanes === undefined || proxies !== undefined) return { undici, blobs: undefined }
    const tls = { ca, rejectUnauthorized }
    return { undici, blobs: new BlobClient({ ...common, lanes, tls, fallback: undici.send }) }
  }
}

/** Keeps the usual authorities, because redirects lead from a private registry to public storage. */
async function authoritiesOf(caFile: string): Promise<string[]> {
  const file = new WatchedFile(caFile, { parse: (text) => authoritiesWith(text, caFile) })
  return file.read()
}

async function published(
  { url, kind, method }: HttpRequest,
  send: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const started = performance.now()
  let status: number | undefined
  try {
    const response = await send()
    status = response.status
    return response
  } finally {
    publish('upstream.answered', { host: url.host, kind, method, status, ms: performance.now() - started })
  }
}
