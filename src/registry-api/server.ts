import type { Socket } from 'node:net'
import { type CertificateFiles, readCertificate, watchCertificate } from '../lib/certificate-files.ts'
import { publish } from '../observe/events.ts'
import { isCheckRepository } from '../oci/names/check-repository.ts'
import type { HostedNames } from '../oci/names/hosted-names.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { AccessControl } from '../ports/access.ts'
import type { HostedRegistry } from '../ports/hosted.ts'
import type { Redirects } from '../ports/redirects/redirected-host.ts'
import type { Resolver } from '../ports/resolver.ts'
import type { StatusReport } from '../schemas/status-report.ts'
import { BufferPool } from './answer/buffer-pool.ts'
import { ClientRequests } from './client-requests.ts'
import { type Client, clientOf } from './connections/client.ts'
import { Connections } from './connections/connections.ts'
import { createHttp1Server, type Http1Server } from './connections/http1.ts'
import { Http2Sessions } from './connections/http2/http2-sessions.ts'
import { type DetectedProtocol, detectProtocol } from './connections/protocol.ts'
import { reportRejection } from './connections/rejections.ts'
import type { DispatchContext } from './dispatch.ts'
import { connectionLimits, http2Limits, LIMITS, type Limits } from './limits.ts'
import { Slots } from './slots.ts'

export interface RegistryServerOptions {
  readonly resolver: Resolver
  readonly listen: { readonly host: string; readonly port: number }
  /** With a certificate the port serves TLS only. The files are read again when they change. */
  readonly tls?: CertificateFiles | undefined
  /** The registry of requests that name none. */
  readonly defaultNamespace: string
  /** Whether a repository may be pulled; by default every one may. */
  readonly isAllowed?: ((repository: Repository) => boolean) | undefined
  /** The repositories that take pushes; without it there are none. */
  readonly hosted?: HostedRegistry | undefined
  /** Whether clients may delete what is hosted; by default they may. */
  readonly hostedDelete?: boolean | undefined
  /** Finds the hosted repositories that requests mean; given together with `hosted`. */
  readonly hostedNames?: HostedNames | undefined
  /** Decides who may do what. */
  readonly access: AccessControl
  /** The hosts that lead to a registry elsewhere; without it there are none. */
  readonly redirects?: Redirects | undefined
  readonly limits?: Partial<Limits> | undefined
  /** Decides which clients are local; by default those that connect over the loopback. */
  readonly clientOf?: ((remoteAddress: string | undefined) => Client) | undefined
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** How much of each limited resource clients use now; all zero when there are no clients. */
export type ClientUsage = Omit<StatusReport['clients'], 'files'>

/** Serves the registry API on one port, over HTTP/1.1 and HTTP/2. */
export interface RegistryServer {
  start(): Promise<ListenAddress>
  usage(): ClientUsage
  /** Accepts no new connections, waits up to `timeoutMs` for the answers under way to end, then closes everything. */
  drain(options: { timeoutMs: number }): Promise<void>
  /** Closes everything at once. */
  close(): Promise<void>
}

export function createRegistryServer(options: RegistryServerOptions): RegistryServer {
  return new HttpRegistryServer(options)
}

/** What is hosted is named by settings of its own, so `allow` does not limit it, nor does it limit the check image. */
function allowedBy({
  isAllowed = () => true,
  hosted,
}: RegistryServerOptions): (repository: Repository) => boolean {
  return (repository) =>
    isAllowed(repository) || hosted?.isHosted(repository) === true || isCheckRepository(repository)
}

/** How long `drain` waits, after the last answer, for connections to send their last bytes and close. */
const LAST_BYTES_MS = 1000

/** Owns the port: accepts connections, lets the server of their protocol serve them, and closes them. */
class HttpRegistryServer implements RegistryServer {
  readonly #options: RegistryServerOptions
  readonly #limits: Limits
  readonly #buffers: BufferPool
  readonly #slots: Slots
  readonly #http2: Http2Sessions
  readonly #connections: Connections
  readonly #requests: ClientRequests
  /** Connections whose protocol is not detected yet. */
  readonly #undetected = new Set<Socket>()
  #http1: Http1Server | undefined
  #certificateWatch: { stop(): void } | undefined
  #isDraining = false
  #onUsageDecreased: (() => void) | undefined

  constructor(options: RegistryServerOptions) {
    const limits = { ...LIMITS, ...options.limits }
    const { firstByteMs } = limits
    this.#options = options
    this.#limits = limits
    this.#buffers = new BufferPool(limits.memoryBytes)
    const slots = new Slots(limits)
    this.#slots = slots
    const buffers = this.#buffers
    const context: DispatchContext = {
      resolver: options.resolver,
      bodies: { buffers, slots: slots.bodies, firstByteMs },
      lists: { buffers, slots: slots.lists, firstByteMs },
      defaultNamespace: options.defaultNamespace,
      isAllowed: allowedBy(options),
      push: options.hosted && {
        hosted: options.hosted,
        slots: slots.uploads,
        largeManifestSlots: slots.largeManifests,
        bodyStallMs: limits.bodyStallMs,
        mayDelete: options.hostedDelete ?? true,
      },
      hostedNames: options.hostedNames,
      access: options.access,
      redirects: options.redirects,
    }
    this.#connections = new Connections(connectionLimits(limits), {
      clientOf: options.clientOf ?? clientOf,
      reportRejection,
      onClosed: () => this.#onUsageDecreased?.(),
    })
    this.#requests = new ClientRequests({
      limits,
      context,
      connections: this.#connections,
      isDraining: () => this.#isDraining,
      onEnded: () => this.#onAnswerEnded(),
    })
    this.#http2 = new Http2Sessions(http2Limits(limits), reportRejection, (request) =>
      this.#requests.onHttp2Request(request),
    )
  }

  usage(): ClientUsage {
    return {
      connections: this.#connections.size,
      sessions: this.#http2.size,
      answers: this.#requests.answersUnderWay,
      pipelined: this.#requests.pipelined,
      seats: this.#slots.taken,
      waiting: this.#slots.waiting,
      pieces: this.#buffers.buffersInUse,
    }
  }

  async start(): Promise<ListenAddress> {
    const { tls, listen } = this.#options
    const certificate = tls === undefined ? undefined : await readCertificate(tls)
    const http1 = createHttp1Server(this.#limits, certificate, {
      accept: (socket) => this.#connections.accept(socket),
      onConnection: (socket) => this.#onConnection(socket),
    })
    this.#http1 = http1
    const { server } = http1
    server.on('timeout', (socket) => {
      if (this.#requests.isAnswering(socket)) reportRejection('stalled')
      socket.destroy()
    })
    server.on('request', (request, response) => this.#requests.onHttp1Request(request, response, false))
    server.on('checkContinue', (request, response) => this.#requests.onHttp1Request(request, response, true))
    server.on('checkExpectation', (request, response) =>
      this.#requests.onHttp1Request(request, response, true),
    )
    server.on('clientError', (error, socket) => this.#requests.onMalformed(error, socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    if (tls !== undefined && certificate !== undefined) {
      const apply = (certificate: Parameters<NonNullable<typeof server.setSecureContext>>[0]) =>
        server.setSecureContext?.(certificate)
      this.#certificateWatch = watchCertificate(tls, apply, {
        inUse: certificate,
        intervalMs: this.#limits.certificateMs,
        onProblem: (problem) => publish('file.checked', { file: tls.certFile, problem }),
      })
    }
    const address = server.address()
    if (address === null || typeof address === 'string')
      throw new Error('the registry server has no TCP address')
    return { host: address.address, port: address.port }
  }

  async drain({ timeoutMs }: { timeoutMs: number }): Promise<void> {
    this.#isDraining = true
    this.#http1?.server.close()
    for (const socket of this.#undetected) socket.destroy()
    this.#http2.drain()
    this.#http1?.server.closeIdleConnections()
    await this.#waitUntil(() => this.#requests.answersUnderWay === 0, timeoutMs)
    // Every answer has ended, but its last bytes may not be sent yet; a connection closes itself after them.
    await this.#waitUntil(() => this.#connections.size === 0, Math.min(timeoutMs, LAST_BYTES_MS))
    await this.close()
  }

  async close(): Promise<void> {
    this.#certificateWatch?.stop()
    const server = this.#http1?.server
    if (server === undefined) return
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : undefined
    const sockets = this.#connections.sockets()
    const socketsClosed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of sockets) socket.destroy()
    await Promise.all([closed, ...socketsClosed])
  }

  #onConnection(socket: Socket): void {
    // The TLS handshake ended after the drain began, or after the connection was closed for another one.
    if (this.#isDraining || socket.destroyed) {
      socket.destroy()
      return
    }
    this.#undetected.add(socket)
    socket.once('close', () => this.#undetected.delete(socket))
    const handlers: Record<DetectedProtocol, () => void> = {
      http1: () => this.#http1?.serve(socket),
      http2: () => this.#http2.serve(socket, this.#requests.clientOf(socket)),
      // Go's HTTP client opens connections in advance, and logs an error when an unused one gets an answer.
      silent: () => socket.destroy(),
    }
    detectProtocol(socket, this.#limits, (protocol) => {
      this.#undetected.delete(socket)
      handlers[protocol]()
    })
  }

  async #waitUntil(isReached: () => boolean, timeoutMs: number): Promise<void> {
    if (isReached()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onUsageDecreased = () => {
        if (isReached()) resolve()
      }
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
    this.#onUsageDecreased = undefined
  }

  #onAnswerEnded(): void {
    if (!this.#isDraining) return
    this.#onUsageDecreased?.()
    // Node marks the connection as idle only after this callback.
    setImmediate(() => this.#http1?.server.closeIdleConnections())
  }
}
