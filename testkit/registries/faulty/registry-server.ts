import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificates } from '../../certificates.ts'
import { sendError, sendJson } from './answers.ts'
import { RegistryAuth } from './auth.ts'
import { type Item, RegistryContent } from './content.ts'
import { Faults, type MetFault } from './faults.ts'
import { Progress } from './progress.ts'
import { type Origin, RequestLog } from './request-log.ts'
import { sendContent } from './send-content.ts'

/** A redirect of one request for a path to the second origin. */
interface Ticket {
  readonly path: string
  readonly met: MetFault
  usesLeft: number
}

/** The two HTTP servers of a faulty upstream: the registry, and the origin to which it redirects. */
export class RegistryServer {
  readonly progress = new Progress()
  readonly content = new RegistryContent()
  readonly auth = new RegistryAuth()
  readonly log = new RequestLog(this.progress)
  readonly faults = new Faults(this.progress)
  readonly extraHeaders = new Map<string, string>()
  readonly scheme: 'http' | 'https'
  hasReferrersApi = true
  readonly #tickets = new Map<string, Ticket>()
  readonly #registry: Server
  readonly #storage: Server

  static async start(certificates: Certificates | undefined): Promise<RegistryServer> {
    const server = new RegistryServer(certificates)
    for (const each of [server.#registry, server.#storage]) {
      each.listen(0, '127.0.0.1')
      await once(each, 'listening')
    }
    return server
  }

  private constructor(certificates: Certificates | undefined) {
    this.scheme = certificates === undefined ? 'http' : 'https'
    this.#registry = this.#server('registry', certificates)
    this.#storage = this.#server('storage', certificates)
  }

  get host(): string {
    return hostOf(this.#registry)
  }

  get url(): string {
    return `${this.scheme}://${this.host}`
  }

  get storageHost(): string {
    return hostOf(this.#storage)
  }

  async close(): Promise<void> {
    this.faults.release()
    await Promise.all(
      [this.#registry, this.#storage].map((server) => {
        const closed = once(server, 'close')
        server.close()
        server.closeAllConnections()
        return closed
      }),
    )
  }

  #server(origin: Origin, certificates: Certificates | undefined): Server {
    const onRequest: RequestListener = (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('error', () => {})
      response.on('error', () => {})
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        this.log.addRequest(request, body, origin)
        const answer = origin === 'storage' ? this.#answerTicket : this.#answer
        answer.call(this, request, response, body).catch((error: Error) => response.destroy(error))
      })
    }
    const server: Server =
      certificates === undefined
        ? createHttp(onRequest)
        : createHttps({ key: certificates.key, cert: certificates.cert }, onRequest)
    // A client that does nothing for a while still finds its idle connections open.
    server.keepAliveTimeout = 120_000
    server.on(certificates === undefined ? 'connection' : 'secureConnection', (socket: object) =>
      this.log.addConnection(socket),
    )
    return server
  }

  /** Answers a request to the second origin. */
  async #answerTicket(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ticket = this.#tickets.get(new URL(request.url ?? '', this.url).searchParams.get('ticket') ?? '')
    if (ticket === undefined || ticket.usesLeft <= 0) return sendError(response, 403, 'DENIED')
    ticket.usesLeft -= 1
    if (await this.#answerFault(request, response, ticket.met)) return
    await this.#answerPath(request, response, ticket.path, ticket.met)
  }

  /** Answers a request to the registry. */
  async #answer(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    for (const [name, value] of this.extraHeaders) response.setHeader(name, value)
    const met = this.faults.meet(path, request.method ?? '')
    if (await this.#answerFault(request, response, met)) return
    if (path === '/token') return this.auth.issueToken(request, response, body)
    if (!this.auth.permits(request)) return this.auth.challenge(response, this.url)
    const { redirect } = met.fault
    if (redirect !== undefined) {
      const location = redirect.to ?? this.#addTicket(path, met, redirect.uses)
      response.writeHead(307, { location, 'content-length': 0 })
      return void response.end()
    }
    await this.#answerPath(request, response, path, met)
  }

  #addTicket(path: string, met: MetFault, uses = Number.POSITIVE_INFINITY): string {
    const ticket = randomBytes(6).toString('hex')
    this.#tickets.set(ticket, { path, met, usesLeft: uses })
    return `${this.scheme}://${this.storageHost}/data?ticket=${ticket}`
  }

  /** Whether the fault has answered the request, or left it without an answer. */
  async #answerFault(request: IncomingMessage, response: ServerResponse, met: MetFault): Promise<boolean> {
    const { silent, status, body = '', headers = {} } = met.fault
    if (silent === true && !this.faults.isReleased(met)) {
      await this.faults.stall(met, request.url ?? '')
      response.destroy()
      return true
    }
    if (status === undefined) return false
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    response.writeHead(status, { 'content-length': Buffer.byteLength(body) })
    response.end(request.method === 'HEAD' ? undefined : body)
    return true
  }

  async #answerPath(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    met: MetFault,
  ): Promise<void> {
    if (path === '/v2/') return sendJson(response, 200, {})
    const send = (digest: string, item: Item): Promise<void> =>
      sendContent(request, response, { digest, item, met, faults: this.faults, log: this.log })
    const parts = /^\/v2\/(.+)\/(blobs|manifests|tags|referrers)\/([^/]+)$/.exec(path)
    if (parts === null) return sendError(response, 404, 'NAME_UNKNOWN')
    const [, repo = '', kind, reference = ''] = parts
    if (kind === 'tags') return this.#answerTags(request, response, repo)
    if (kind === 'referrers') {
      if (!this.hasReferrersApi) return sendError(response, 404, 'NOT_FOUND')
      return send(reference, this.content.referrers(repo, reference))
    }
    if (kind === 'manifests') {
      const found = this.content.manifest(repo, reference)
      if (found === undefined) return sendError(response, 404, 'MANIFEST_UNKNOWN')
      return send(found.digest, found.item)
    }
    const blob = this.content.blob(repo, reference)
    if (blob === undefined) return sendError(response, 404, 'BLOB_UNKNOWN')
    return send(reference, blob)
  }

  #answerTags({ url = '' }: IncomingMessage, response: ServerResponse, repo: string): void {
    const tags = this.content.tags(repo)
    if (tags === undefined) {
      sendError(response, 404, 'NAME_UNKNOWN')
      return
    }
    const query = new URL(url, this.url).searchParams
    const n = Number(query.get('n') ?? '1000')
    const last = query.get('last')
    const left = tags.filter((tag) => last === null || tag > last)
    const page = left.slice(0, n)
    if (page.length < left.length) {
      response.setHeader('link', `</v2/${repo}/tags/list?n=${n}&last=${page.at(-1)}>; rel="next"`)
    }
    sendJson(response, 200, { name: repo, tags: page })
  }
}

function hostOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
