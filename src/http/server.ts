import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { allowedBy } from '../oci/allow.ts'
import type { Resolver } from '../resolve/answer.ts'
import { BodyBuffers } from './buffers.ts'
import { type CertificateFiles, followCertificate, readCertificate } from './certificate.ts'
import { clientOf, clientOnStream } from './client.ts'
import { Http1Exchange, Http2Exchange } from './exchange.ts'
import { authorityProblem, hostProblem } from './host.ts'
import { createHttp1, type Http1Front } from './http1.ts'
import { Http2Speaker } from './http2.ts'
import { LIMITS, type Limits } from './limits.ts'
import { answerMalformed } from './malformed.ts'
import { Pipeline } from './pipeline.ts'
import { listenFor, type Spoken } from './protocol.ts'
import { type Reception, receive } from './reception.ts'
import { dropBody } from './request-body.ts'
import { refuse } from './respond.ts'

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
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** The registry API on one port, in whatever protocol a client speaks. */
export interface RegistryServer {
  start(): Promise<ListenAddress>
  /** No new connections; what is being answered may end until the time is over. Then, or before, everything is closed. */
  drain(options: { timeoutMs: number }): Promise<void>
  /** Ends everything at once. */
  close(): Promise<void>
}

export function createRegistryServer(options: RegistryServerOptions): RegistryServer {
  return new FrontDoor(options)
}

const FAREWELL_MS = 1000
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
  readonly #http2: Http2Speaker
  readonly #pipeline: Pipeline
  /** Every connection, as accepted. */
  readonly #sockets = new Set<Socket>()
  /** Connections that have not said their protocol yet. */
  readonly #fresh = new Set<Socket>()
  /** Answers under way. */
  #open = 0
  readonly #talks = new WeakMap<Duplex, Talk>()
  #http1: Http1Front | undefined
  #certificate: { stop(): void } | undefined
  #draining = false
  #onLess: (() => void) | undefined

  constructor(options: RegistryServerOptions) {
    const limits = { ...LIMITS, ...options.limits }
    this.#options = options
    this.#limits = limits
    this.#reception = {
      resolver: options.resolver,
      buffers: new BodyBuffers(limits.memoryBytes),
      defaultNamespace: options.defaultNamespace,
      allowed: allowedBy(options.allow),
      firstByteMs: limits.firstByteMs,
    }
    this.#pipeline = new Pipeline(limits.maxPipelined)
    this.#http2 = new Http2Speaker(limits, (request, response) => this.#hearHttp2(request, response))
  }

  async start(): Promise<ListenAddress> {
    const { tls, listen } = this.#options
    const certificate = tls === undefined ? undefined : await readCertificate(tls)
    const front = createHttp1(this.#limits, certificate, (socket) => this.#hear(socket))
    this.#http1 = front
    const { server } = front
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        this.#onLess?.()
      })
    })
    server.on('request', (request, response) => this.#hearHttp1(request, response, false))
    server.on('checkContinue', (request, response) => this.#hearHttp1(request, response, true))
    server.on('checkExpectation', (request, response) => this.#hearHttp1(request, response, true))
    server.on('clientError', (error, socket) => this.#onMalformed(error, socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    if (tls !== undefined) {
      const apply = (fresh: Parameters<NonNullable<typeof server.setSecureContext>>[0]) =>
        server.setSecureContext?.(fresh)
      this.#certificate = followCertificate(tls, apply, { everyMs: this.#limits.certificateMs })
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
    await this.#until(() => this.#open === 0, timeoutMs)
    // The last bytes are on their way; connections close themselves when they are out.
    await this.#until(() => this.#sockets.size === 0, Math.min(timeoutMs, FAREWELL_MS))
    await this.close()
  }

  async close(): Promise<void> {
    this.#certificate?.stop()
    const server = this.#http1?.server
    if (server === undefined) return
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : undefined
    const gone = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([closed, ...gone])
  }

  #hear(socket: Socket): void {
    // Its handshake ended after draining had begun.
    if (this.#draining) {
      socket.destroy()
      return
    }
    this.#fresh.add(socket)
    socket.once('close', () => this.#fresh.delete(socket))
    const spoken: Spoken = {
      http1: () => this.#http1?.speak(socket),
      http2: () => this.#http2.speak(socket),
      // Go's clients open connections in advance, and would log a complaint if one of them brought them an answer.
      silent: () => socket.destroy(),
    }
    listenFor(socket, this.#limits, (protocol) => {
      this.#fresh.delete(socket)
      spoken[protocol]()
    })
  }

  #hearHttp1(request: IncomingMessage, response: ServerResponse, expectsWord: boolean): void {
    this.#pipeline.enter(request, response, () => {
      dropBody(request, this.#limits.maxBodyBytes)
      const talk = this.#talkOn(request.socket)
      const exchange = new Http1Exchange(request, response, {
        client: clientOf(request.socket.remoteAddress),
        onOver: () => {
          talk.isBusy = false
          if (talk.complaint !== undefined) answerMalformed(talk.complaint, request.socket)
          this.#over()
        },
        // A client that was not told to go on may send its body or not: after that the connection is of no use.
        lastOnConnection: () => this.#draining || expectsWord,
      })
      this.#open += 1
      talk.isBusy = true
      const problem = hostProblem(request.rawHeaders, request.httpVersionMinor)
      if (problem === undefined) void receive(exchange, this.#reception)
      else refuse(exchange, { ...WRONG_HOST, message: problem, headers: { Connection: 'close' } })
    })
  }

  #hearHttp2(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const exchange = new Http2Exchange(request, response, {
      client: clientOnStream(request),
      onOver: () => this.#over(),
      stallMs: this.#limits.stallMs,
    })
    this.#open += 1
    const problem = authorityProblem(request.rawHeaders)
    if (problem === undefined) void receive(exchange, this.#reception)
    else refuse(exchange, { ...WRONG_HOST, message: problem })
  }

  #over(): void {
    this.#open -= 1
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
