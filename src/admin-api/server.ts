import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type CertificateFiles, readCertificate, watchCertificate } from '../lib/certificate-files.ts'
import { stopServer } from '../lib/stop-server.ts'
import { publish } from '../observe/events.ts'
import { AdminAccess, type AdminAuth } from './admin-access.ts'
import { type AdminAnswer, answerRead, errorAnswer, type Reports, type WarmReadiness } from './answer.ts'
import { refuseWebPage, runCommand, type Upkeep, type Warming } from './commands.ts'
import { sendJsonLines } from './json-lines.ts'
import { isAllowedOnLoopback, isLoopbackHost } from './loopback-host.ts'
import { answerMalformed, MAX_HEADER_BYTES } from './malformed-request.ts'
import { answerNotification, type Notifications } from './notifications.ts'
import { type AdminRoute, adminRoute, monitoringRoute } from './route.ts'

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** `monitoring`: metrics and health, and nothing else; default: everything. */
  readonly offer?: 'everything' | 'monitoring'
  /** Default: every client may do everything that is offered. */
  readonly auth?: AdminAuth | undefined
  /** With a certificate the port serves TLS only. */
  readonly tls?: CertificateFiles | undefined
  readonly reports: Reports
  readonly upkeep: Upkeep
  readonly warming: Warming & WarmReadiness
  /** undefined: nothing is copied into buckets. */
  readonly copies?: Notifications | undefined
  /** How long an answer, or the next line of one, may take. */
  readonly timeoutMs?: number
}

export interface AdminServer {
  /** Resolves with the address on which the server listens. */
  start(): Promise<{ readonly host: string; readonly port: number }>
  /** Accepts no more requests, and gives those under way two seconds to end. */
  stop(): Promise<void>
}

const DEFAULT_TIMEOUT_MS = 15_000
const MAX_CONNECTIONS = 128
/** How often the files of the certificate are looked at. */
const CERTIFICATE_MS = 10_000

const SERVER_OPTIONS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 60_000,
  connectionsCheckingInterval: 2_000,
} as const

/**
 * Names on the page come from registries and peers. These headers make a browser load and run nothing but files of this
 * server, and show the page in no frame of another site.
 */
const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** The web server for operators: the page, metrics, health, and the API that the command line uses. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  return new HttpAdminServer(options)
}

class HttpAdminServer implements AdminServer {
  readonly #options: AdminServerOptions
  #server: Server | undefined
  #certificateWatch: { stop(): void } | undefined

  constructor(options: AdminServerOptions) {
    this.#options = options
  }

  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const { auth, tls, listen } = this.#options
    const access = auth && (await AdminAccess.open(auth))
    const server = tls === undefined ? createServer(SERVER_OPTIONS) : await this.#createTlsServer(tls)
    this.#server = server
    server.maxConnections = MAX_CONNECTIONS
    server.on('request', (request, response) => {
      void respond(request, response, this.#options, access)
    })
    server.on('clientError', answerMalformed)
    // When a connection cannot be accepted (no file descriptor left), the server keeps running for later ones.
    server.on('error', () => {})
    return start(server, listen)
  }

  async stop(): Promise<void> {
    this.#certificateWatch?.stop()
    if (this.#server !== undefined) await stopServer(this.#server)
  }

  async #createTlsServer(tls: CertificateFiles): Promise<Server> {
    const certificate = await readCertificate(tls)
    const server = createTlsServer({
      ...SERVER_OPTIONS,
      ...certificate,
      minVersion: 'TLSv1.2',
      handshakeTimeout: SERVER_OPTIONS.headersTimeout,
    })
    this.#certificateWatch = watchCertificate(tls, (changed) => server.setSecureContext(changed), {
      inUse: certificate,
      intervalMs: CERTIFICATE_MS,
      onProblem: (problem) => publish('file.checked', { file: tls.certFile, problem }),
    })
    return server
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
  access: AdminAccess | undefined,
): Promise<void> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const disconnected = new AbortController()
  response.once('close', () => disconnected.abort())
  const { url = '/', method = 'GET' } = request
  const route = options.offer === 'monitoring' ? monitoringRoute(method, url) : adminRoute(method, url)
  // Any other body is not read, so the connection cannot be reused.
  const isBodyRead = route.kind === 'command' || route.kind === 'notification'
  if (hasBody(request) && !isBodyRead) response.setHeader('Connection', 'close')
  const answer =
    refuseForeignHost(request, options.listen.host) ??
    (await answerWithin(
      timeoutMs,
      answerAllowed(route, request, options, access, { signal: disconnected.signal, timeoutMs }),
    ))
  if (response.destroyed) return
  response.setHeader('Content-Type', answer.contentType)
  response.setHeader('Cache-Control', 'no-store')
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
  if (answer.allow !== undefined) response.setHeader('Allow', answer.allow)
  if (answer.challenge !== undefined) response.setHeader('WWW-Authenticate', answer.challenge)
  // The rest of an unread request would be parsed as the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  // A command may end because the agent stops. With the connection closed, stopping does not wait for it.
  if (answer.isUnbuffered === true) response.setHeader('Connection', 'close')
  if (method === 'HEAD') {
    response.writeHead(answer.status).end()
  } else if (typeof answer.body === 'string') {
    response.writeHead(answer.status, { 'Content-Length': Buffer.byteLength(answer.body) }).end(answer.body)
  } else {
    await sendJsonLines(response.writeHead(answer.status), answer.body, timeoutMs, answer)
  }
}

function refuseForeignHost(request: IncomingMessage, listenHost: string): AdminAnswer | undefined {
  if (isLoopbackHost(listenHost) && !isAllowedOnLoopback(request.headers.host, listenHost)) {
    return errorAnswer(403, 'the host of the request is not that of this agent; use localhost or 127.0.0.1')
  }
  return undefined
}

async function answerAllowed(
  route: AdminRoute,
  request: IncomingMessage,
  options: AdminServerOptions,
  access: AdminAccess | undefined,
  limits: { signal: AbortSignal; timeoutMs: number },
): Promise<AdminAnswer> {
  const refusal = await access?.refuse(route, request.headers.authorization)
  return refusal ?? answerFor(route, request, options, limits)
}

async function answerFor(
  route: AdminRoute,
  request: IncomingMessage,
  { reports, upkeep, warming, copies }: AdminServerOptions,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<AdminAnswer> {
  if (route.kind === 'method-not-allowed') {
    return {
      ...errorAnswer(405, `this path does not take ${request.method}; use ${route.allow}`),
      allow: route.allow,
    }
  }
  if (route.kind === 'notification') return answerNotification(request, copies, options)
  if (route.kind !== 'command') return answerRead(route, reports, warming, options.signal)
  return refuseWebPage(request) ?? (await runCommand(route.command, request, { upkeep, warming }, options))
}

async function answerWithin(timeoutMs: number, answer: Promise<AdminAnswer>): Promise<AdminAnswer> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<AdminAnswer>((resolve) => {
    timer = setTimeout(
      () => resolve(errorAnswer(503, `there was no answer within ${timeoutMs / 1000} s; try again later`)),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([answer, timeout])
  } catch {
    // The message of the error may contain secrets, and any process that reaches this port could read it.
    return errorAnswer(500, 'the agent could not answer because of an unexpected error; try again')
  } finally {
    clearTimeout(timer)
  }
}

function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  )
}

async function start(
  server: Server,
  listen: AdminServerOptions['listen'],
): Promise<{ readonly host: string; readonly port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}
