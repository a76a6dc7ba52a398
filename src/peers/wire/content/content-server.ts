import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Failure } from '../../../ports/failure.ts'
import { PEER_PROTOCOL } from '../../identity/member.ts'
import type { ConnectionResources, RemotePeer } from '../connection/resources.ts'
import { parseContentRequest } from '../protocol/content-path.ts'
import { ContentUpload } from './content-upload.ts'

const MAX_HEAD_BYTES = 8 * 1024
/** A peer sends its next request when it has the whole response, which this side may not know yet. */
const MAX_REQUESTS_UNDER_WAY = 2

export interface ContentServerOptions {
  readonly resources: ConnectionResources
  readonly firstRequestMs: number
  readonly idleMs: number
  /** Answers one request. Must not reject. */
  readonly onRequest: (upload: ContentUpload) => Promise<void>
}

/** What is known of one connection. */
interface ServedConnection {
  readonly peer: () => RemotePeer
  requests: number
  answered: Promise<void>
  timer: NodeJS.Timeout
}

/** Serves content over HTTP/1.1 on connections that are authenticated already. */
export class ContentServer {
  readonly #options: ContentServerOptions
  readonly #http: Server
  readonly #connections = new Map<Socket, ServedConnection>()
  #isDraining = false

  constructor(options: ContentServerOptions) {
    this.#options = options
    this.#http = createServer(
      // The timer of each connection has the deadlines.
      { maxHeaderSize: MAX_HEAD_BYTES, keepAliveTimeout: 0, requireHostHeader: false, noDelay: true },
      (request, response) => this.#onRequest(request, response),
    )
    this.#http.maxHeadersCount = 64
    this.#http.on('clientError', (_error, socket) => socket.destroy())
    this.#http.on('checkExpectation', (request) => request.socket.destroy())
  }

  serve(socket: TLSSocket, peer: () => RemotePeer): void {
    const { firstRequestMs } = this.#options
    const timer = setTimeout(() => socket.destroy(), firstRequestMs)
    this.#connections.set(socket, { peer, requests: 0, answered: Promise.resolve(), timer })
    socket.once('close', () => {
      clearTimeout(this.#connections.get(socket)?.timer)
      this.#connections.delete(socket)
    })
    this.#http.emit('connection', socket)
  }

  /** Closes each connection when it has no request under way. */
  drain(): void {
    this.#isDraining = true
    for (const [socket, { requests }] of this.#connections) if (requests === 0) socket.destroy()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.requests >= MAX_REQUESTS_UNDER_WAY) {
      socket.destroy()
      return
    }
    clearTimeout(connection.timer)
    connection.requests += 1
    const ended = new Promise<void>((resolve) => response.once('close', () => resolve()))
    const before = connection.answered
    connection.answered = ended
    void ended.then(() => this.#onEnded(socket, connection))
    void before.then(() => {
      // Node never assigns a socket that has closed to the response of a pipelined request, which then never closes.
      if (!socket.destroyed) return this.#answer(request, response, connection.peer())
    })
  }

  #onEnded(socket: Socket, connection: ServedConnection): void {
    connection.requests -= 1
    if (connection.requests > 0 || socket.destroyed) return
    if (this.#isDraining) socket.end()
    else connection.timer = setTimeout(() => socket.destroy(), this.#options.idleMs)
  }

  /** The peer has limited time to read the end of a response. */
  #endUnlessRead(response: ServerResponse): void {
    if (response.closed) return
    const timer = setTimeout(() => response.destroy(), this.#options.resources.stallMs)
    response.once('close', () => clearTimeout(timer))
  }

  async #answer(request: IncomingMessage, response: ServerResponse, peer: RemotePeer): Promise<void> {
    response.sendDate = false
    const problem = problemOf(request)
    const { url = '', headers } = request
    const content = problem === undefined ? parseContentRequest(url, headers.range) : undefined
    if (content === undefined) {
      response.writeHead(problem ?? 404, { 'content-length': 0, connection: 'close' }).end()
      this.#endUnlessRead(response)
      return
    }
    const upload = new ContentUpload(content, response, peer, this.#options.resources)
    if (this.#isDraining) upload.refuse(new Failure('stopping', 'the agent is stopping'))
    else await this.#options.onRequest(upload)
    // An upload has deadlines of its own.
    this.#endUnlessRead(response)
  }
}

/** Gives the status for a request that is not a GET without a body, or one of another version of the protocol. */
function problemOf({ method, headers }: IncomingMessage): number | undefined {
  if (method !== 'GET') return 405
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers
  if (length !== '0' || encoding !== undefined) return 400
  const version = headers['peer-protocol']
  return version === undefined || version === String(PEER_PROTOCOL) ? undefined : 505
}
