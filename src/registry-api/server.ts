import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { allowedBy } from '../oci/names/allow.ts'
import type { Resolver } from '../ports/answer.ts'
import type { StatusReport } from '../schemas/report.ts'
import { Answers } from './answer/answers.ts'
import { BodyBuffers } from './answer/buffers.ts'
import { type Exchange, Http1Exchange, Http2Exchange, type Origin } from './answer/exchange.ts'
import { answerMalformed } from './answer/malformed.ts'
import { dropBody } from './answer/request-body.ts'
import { refuse } from './answer/respond.ts'
import { Seats } from './answer/seats.ts'
import { type CertificateFiles, readCertificate, watchCertificate } from './connections/certificate.ts'
import { type Client, clientOf } from './connections/client.ts'
import { type Connection, Connections } from './connections/connections.ts'
import { authorityProblem, hostHeaderProblem } from './connections/host-header.ts'
import { createHttp1Server, type Http1Server } from './connections/http1.ts'
import { type Http2Request, Http2Sessions } from './connections/http2.ts'
import { Pipeline } from './connections/pipeline.ts'
import { type DetectedProtocol, detectProtocol } from './connections/protocol.ts'
import { reportRejection } from './connections/rejections.ts'
import { type Reception, receive } from './dispatch.ts'
import {
  answerLimits,
  bodyLimits,
  connectionLimits,
  http2Limits,
  LIMITS,
  type Limits,
  listLimits,
} from './limits.ts'

export interface RegistryServerOptions {
  readonly resolver: Resolver
  readonly listen: { readonly host: string; readonly port: number }
  /** With a certificate the port speaks TLS only. The files are read again when they change. */
  readonly tls?: CertificateFiles | undefined
  /** For requests that name no registry. */
  readonly defaultNamespace: string
  /** Patterns of oci/allow.ts; undefined allows everything. */
  readonly allow?: readonly string[] | undefined
  readonly limits?: Partial<Limits> | undefined
  /** Which clients are on this machine; default: those of its loopback. */
  readonly clientOf?: ((remoteAddress: string | undefined) => Client) | undefined
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** How much of what is limited clients hold now. All of it is zero when no client is there. */
export type Usage = Omit<StatusReport['clients'], 'files'>

/** The registry API on one port, in whatever protocol a client speaks. */
export interface RegistryServer {
  start(): Promise<ListenAddress>
  usage(): Usage
  /** No new connections; what is being answered may end until the time is over. Then, or before, everything is closed. */
  drain(options: { timeoutMs: number }): Promise<void>
  /** Ends everything at once. */
  close(): Promise<void>
}

export function createRegistryServer(options: RegistryServerOptions): RegistryServer {
  return new FrontDoor(options)
}

const FAREWELL_MS = 1000
const TOO_MANY = {
  status: 503,
  code: 'UNAVAILABLE',
  message: 'this agent is answering as many requests as it may; ask again in a moment',
  headers: { 'Retry-After': 1 },
} as const
const WRONG_HOST = { status: 400, code: 'UNSUPPORTED' } as const

/** What is known of a connection of HTTP/1.1. */
interface Talk {
  /** An answer is under way. */
  isBusy: boolean
  /** What the parser said when it gave the connection up. */
  complaint: NodeJS.ErrnoException | undefined
}

class FrontDoor implements RegistryServer {
  readonly #options: RegistryServerOptions
  readonly #limits: Limits
  readonly #reception: Reception
  readonly #buffers: BodyBuffers
  readonly #bodySeats: Seats
  readonly #listSeats: Seats
  readonly #http2: Http2Sessions
  readonly #pipeline: Pipeline
  readonly #connections: Connections
  readonly #answers: Answers
  /** Connections that have not said their protocol yet. */
  readonly #fresh = new Set<Socket>()
  readonly #talks = new WeakMap<Duplex, Talk>()
  #http1: Http1Server | undefined
  #certificate: { stop(): void } | undefined
  #draining = false
  #onLess: (() => void) | undefined

  constructor(options: RegistryServerOptions) {
    const limits = { ...LIMITS, ...options.limits }
    const { firstByteMs } = limits
    this.#options = options
    this.#limits = limits
    this.#buffers = new BodyBuffers(limits.memoryBytes)
    this.#bodySeats = new Seats(bodyLimits(limits), reportRejection)
    this.#listSeats = new Seats(listLimits(limits), reportRejection)
    const buffers = this.#buffers
    this.#reception = {
      resolver: options.resolver,
      bodies: { buffers, seats: this.#bodySeats, firstByteMs },
      lists: { buffers, seats: this.#listSeats, firstByteMs },
      defaultNamespace: options.defaultNamespace,
      allowed: allowedBy(options.allow),
    }
    this.#answers = new Answers(answerLimits(limits), reportRejection)
    this.#connections = new Connections(connectionLimits(limits), {
      clientOf: options.clientOf ?? clientOf,
      reportRejection,
      onClosed: () => this.#onLess?.(),
    })
    this.#pipeline = new Pipeline(limits, reportRejection)
    this.#http2 = new Http2Sessions(http2Limits(limits), reportRejection, (request) =>
      this.#hearHttp2(request),
    )
  }

  usage(): Usage {
    return {
      connections: this.#connections.size,
      sessions: this.#http2.size,
      answers: this.#answers.size,
      pipelined: this.#pipeline.waiting,
      seats: this.#bodySeats.held + this.#listSeats.held,
      waiting: this.#bodySeats.waiting + this.#listSeats.waiting,
      pieces: this.#buffers.pieces,
    }
  }

  async start(): Promise<ListenAddress> {
    const { tls, listen } = this.#options
    const certificate = tls === undefined ? undefined : await readCertificate(tls)
    const front = createHttp1Server(this.#limits, certificate, {
      accept: (socket) => this.#connections.accept(socket),
      onConnection: (socket) => this.#hear(socket),
    })
    this.#http1 = front
    const { server } = front
    server.on('timeout', (socket) => {
      if (this.#talkOn(socket).isBusy) reportRejection('stalled')
      socket.destroy()
    })
    server.on('request', (request, response) => this.#hearHttp1(request, response, false))
    server.on('checkContinue', (request, response) => this.#hearHttp1(request, response, true))
    server.on('checkExpectation', (request, response) => this.#hearHttp1(request, response, true))
    server.on('clientError', (error, socket) => this.#onMalformed(error, socket))
    await new Promise<void>((resolve, reportRejection) => {
      server.once('error', reportRejection)
      server.listen(listen.port, listen.host, () => {
        server.off('error', reportRejection)
        resolve()
      })
    })
    if (tls !== undefined) {
      const apply = (fresh: Parameters<NonNullable<typeof server.setSecureContext>>[0]) =>
        server.setSecureContext?.(fresh)
      this.#certificate = watchCertificate(tls, apply, { intervalMs: this.#limits.certificateMs })
    }
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the registry has no TCP address')
    return { host: address.address, port: address.port }
  }

  async drain({ timeoutMs }: { timeoutMs: number }): Promise<void> {
    this.#draining = true
    this.#http1?.server.close()
    for (const socket of this.#fresh) socket.destroy()
    this.#http2.drain()
    this.#http1?.server.closeIdleConnections()
    await this.#until(() => this.#answers.size === 0, timeoutMs)
    // The last bytes are on their way; connections close themselves when they are out.
    await this.#until(() => this.#connections.size === 0, Math.min(timeoutMs, FAREWELL_MS))
    await this.close()
  }

  async close(): Promise<void> {
    this.#certificate?.stop()
    const server = this.#http1?.server
    if (server === undefined) return
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : undefined
    const sockets = this.#connections.sockets()
    const gone = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of sockets) socket.destroy()
    await Promise.all([closed, ...gone])
  }

  #hear(socket: Socket): void {
    // Its handshake ended after draining had begun, or after it had to make room for another.
    if (this.#draining || socket.destroyed) {
      socket.destroy()
      return
    }
    this.#fresh.add(socket)
    socket.once('close', () => this.#fresh.delete(socket))
    const spoken: Record<DetectedProtocol, () => void> = {
      http1: () => this.#http1?.serve(socket),
      http2: () => this.#http2.serve(socket, originOf(socket, this.#connections.find(socket)).client),
      // Go's clients open connections in advance, and would log a complaint if one of them brought them an answer.
      silent: () => socket.destroy(),
    }
    detectProtocol(socket, this.#limits, (protocol) => {
      this.#fresh.delete(socket)
      spoken[protocol]()
    })
  }

  #hearHttp1(request: IncomingMessage, response: ServerResponse, expectsWord: boolean): void {
    this.#pipeline.enqueue(request, response, () => {
      const { socket } = request
      const connection = this.#connections.find(socket)
      dropBody(request, this.#limits.maxBodyBytes, reportRejection)
      const talk = this.#talkOn(socket)
      const exchange = new Http1Exchange(request, response, {
        origin: originOf(socket, connection),
        onOver: () => {
          talk.isBusy = false
          if (talk.complaint !== undefined) answerMalformed(talk.complaint, socket)
          this.#over(exchange, connection)
        },
        // A client that was not told to go on may send its body or not: after that the connection is of no use.
        lastOnConnection: () => this.#draining || expectsWord,
      })
      talk.isBusy = true
      const problem = hostHeaderProblem(request.rawHeaders, request.httpVersionMinor)
      this.#begin(exchange, connection, problem, { Connection: 'close' })
    })
  }

  #hearHttp2({ stream, headers, rawHeaders, socket, onReset }: Http2Request): void {
    const connection = this.#connections.find(socket)
    const exchange = new Http2Exchange(stream, headers, {
      origin: originOf(socket, connection),
      socket,
      onOver: () => {
        if (exchange.state === 'unanswered') onReset()
        this.#over(exchange, connection)
      },
    })
    this.#begin(exchange, connection, authorityProblem(rawHeaders), {})
  }

  /** `problem`: what is wrong with the host that it names. */
  #begin(
    exchange: Exchange,
    connection: Connection | undefined,
    problem: string | undefined,
    headers: OutgoingHttpHeaders,
  ): void {
    if (connection !== undefined) connection.answersUnderWay += 1
    if (!this.#answers.begin(exchange)) refuse(exchange, TOO_MANY)
    else if (problem !== undefined) refuse(exchange, { ...WRONG_HOST, message: problem, headers })
    else void receive(exchange, this.#reception)
  }

  #over(exchange: Exchange, connection: Connection | undefined): void {
    this.#answers.end(exchange)
    if (connection !== undefined) {
      connection.answersUnderWay -= 1
      connection.idleSince = performance.now()
    }
    if (!this.#draining) return
    this.#onLess?.()
    // Its connection becomes idle only after this.
    setImmediate(() => this.#http1?.server.closeIdleConnections())
  }

  async #until(reached: () => boolean, timeoutMs: number): Promise<void> {
    if (reached()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onLess = () => {
        if (reached()) resolve()
      }
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
    this.#onLess = undefined
  }

  #onMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const talk = this.#talkOn(socket)
    // The parser tells again for everything that comes after.
    if (talk.complaint !== undefined) return
    talk.complaint = error
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reportRejection('malformed')
    // An answer that is under way goes first.
    if (!talk.isBusy || !socket.writable) answerMalformed(error, socket)
  }

  #talkOn(socket: Duplex): Talk {
    let talk = this.#talks.get(socket)
    if (talk === undefined) {
      talk = { isBusy: false, complaint: undefined }
      this.#talks.set(socket, talk)
    }
    return talk
  }
}

function originOf(socket: Socket, connection: Connection | undefined): Origin {
  return { client: connection?.client ?? clientOf(socket.remoteAddress), connection: connection ?? socket }
}
