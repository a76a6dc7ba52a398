import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Answer, answerTo, problem, type Reports, type Warmth } from './answer.ts'
import { make, refuseChange, type Upkeep, type Warming } from './change.ts'
import { isLoopbackHost, isMeantForLoopback } from './host.ts'
import { sendLines } from './lines.ts'
import { type AdminRoute, adminRoute } from './route.ts'

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly reports: Reports
  readonly upkeep: Upkeep
  readonly warming: Warming & Warmth
  /** How long a report, or the next line of one, may take. */
  readonly patienceMs?: number
}

export interface AdminServer {
  /** Resolves with the address that it listens on. */
  start(): Promise<{ readonly host: string; readonly port: number }>
  /** Takes no more requests and lets those under way end, for a moment. */
  stop(): Promise<void>
}

const PATIENCE_MS = 15_000
const FAREWELL_MS = 2_000
const MOST_CONNECTIONS = 128
const LONGEST_HEAD = 16 * 1024

/** Names come from outside: a browser shows them as text, runs and loads nothing but this server's, in no other's frame. */
const GUARDS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** The agent's own little web server: metrics, health, and the API that the other commands use. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const server = createServer({
    maxHeaderSize: LONGEST_HEAD,
    headersTimeout: 10_000,
    requestTimeout: 20_000,
    keepAliveTimeout: 60_000,
    connectionsCheckingInterval: 2_000,
  })
  server.maxConnections = MOST_CONNECTIONS
  server.on('request', (request, response) => {
    void respond(request, response, options)
  })
  server.on('clientError', refuseMalformed)
  // A connection that could not be accepted (no file descriptor left) is lost; those after it need not be.
  server.on('error', () => {})
  return {
    start: () => start(server, options.listen),
    stop: () => stop(server),
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
): Promise<void> {
  const { patienceMs = PATIENCE_MS } = options
  const leaving = new AbortController()
  response.once('close', () => leaving.abort())
  const { url = '/', method = 'GET' } = request
  const route = adminRoute(method, url)
  // A body was not asked for; reading it would only serve whoever sends it.
  if (hasBody(request) && route.kind !== 'change') response.setHeader('Connection', 'close')
  const answer =
    refuse(request, options.listen.host) ??
    (await within(patienceMs, answered(route, request, options, { signal: leaving.signal, patienceMs })))
  if (response.destroyed) return
  response.setHeader('Content-Type', answer.type)
  response.setHeader('Cache-Control', 'no-store')
  for (const [name, value] of Object.entries(GUARDS)) response.setHeader(name, value)
  if (answer.allow !== undefined) response.setHeader('Allow', answer.allow)
  // What was refused unread would be taken for the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  // What is told step by step may end because the agent ends, which need not wait for the connection then.
  if (answer.eager === true) response.setHeader('Connection', 'close')
  if (method === 'HEAD') {
    response.writeHead(answer.code).end()
  } else if (typeof answer.body === 'string') {
    response.writeHead(answer.code, { 'Content-Length': Buffer.byteLength(answer.body) }).end(answer.body)
  } else {
    await sendLines(response.writeHead(answer.code), answer.body, patienceMs, answer)
  }
}

function refuse(request: IncomingMessage, listenHost: string): Answer | undefined {
  if (isLoopbackHost(listenHost) && !isMeantForLoopback(request.headers.host, listenHost)) {
    return problem(
      403,
      `this agent's admin address is to be asked as localhost or 127.0.0.1, not by another name`,
    )
  }
  return undefined
}

async function answered(
  route: AdminRoute,
  request: IncomingMessage,
  { reports, upkeep, warming }: AdminServerOptions,
  options: { signal: AbortSignal; patienceMs: number },
): Promise<Answer> {
  if (route.kind === 'method') {
    return { ...problem(405, `only ${route.allow} are answered here`), allow: route.allow }
  }
  if (route.kind !== 'change') return answerTo(route, reports, warming)
  return refuseChange(request) ?? (await make(route.change, request, { upkeep, warming }, options))
}

async function within(ms: number, making: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve(problem(503, `the answer took longer than ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([making, tooLong])
  } catch {
    // What went wrong may quote anything; it is not for whoever can reach this port.
    return problem(500, 'there is no answer: something went wrong')
  } finally {
    clearTimeout(timer)
  }
}

function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  )
}

function refuseMalformed(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  const { body, type } = problem(Number(status.slice(0, 3)), status.slice(4).toLowerCase())
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
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

async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  const late = setTimeout(() => server.closeAllConnections(), FAREWELL_MS)
  try {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
  } finally {
    clearTimeout(late)
  }
}
