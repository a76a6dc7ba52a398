import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { EverybodyAccess } from '../../src/access/everybody-access.ts'
import type { CertificateFiles } from '../../src/lib/certificate-files.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { HostedNames } from '../../src/oci/names/hosted-names.ts'
import { repositoryFilter } from '../../src/oci/names/repository-filter.ts'
import type { AccessControl } from '../../src/ports/access.ts'
import type { HostedRegistry } from '../../src/ports/hosted.ts'
import type { Redirects } from '../../src/ports/redirects/redirected-host.ts'
import type { Resolver } from '../../src/ports/resolver.ts'
import type { Client } from '../../src/registry-api/connections/client.ts'
import type { Limits } from '../../src/registry-api/limits.ts'
import { createRegistryServer, type RegistryServer } from '../../src/registry-api/server.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'

export interface TestServer {
  readonly resolver: MemoryResolver
  readonly server: RegistryServer
  readonly port: number
}

export const ALPINE = { registry: 'docker.io', name: 'library/alpine' }

/** Starts a registry server with an in-memory resolver; the server is closed at the end of the test. */
export async function startTestServer(
  t: TestContext,
  options: {
    limits?: Partial<Limits>
    allow?: readonly string[]
    tls?: CertificateFiles
    access?: AccessControl
    hosted?: HostedRegistry
    hostedNames?: HostedNames
    hostedDelete?: boolean
    redirects?: Redirects
    /** Puts a resolver before the one in memory. */
    resolverBefore?: (next: Resolver) => Resolver
  } = {},
): Promise<TestServer> {
  const resolver = new MemoryResolver()
  const { resolverBefore = (next) => next, allow, ...given } = options
  const listen = { host: '127.0.0.1', port: 0 }
  const clientOf = (address = ''): Client => ({ address, isLocal: address === '127.0.0.1' })
  const server = createRegistryServer({
    resolver: resolverBefore(resolver),
    listen,
    clientOf,
    defaultNamespace: 'docker.io',
    isAllowed: repositoryFilter(allow),
    access: new EverybodyAccess((repository) => resolver.isPrivate(repository)),
    ...given,
  })
  const { port } = await server.start()
  t.after(async () => {
    await server.close()
    await waitUntilUnused(server)
  })
  return { resolver, server, port }
}

const UNUSED_DEADLINE_MS = 60_000

/** Resolves when clients use no limited resource any more; rejects after a minute. */
export async function waitUntilUnused(server: RegistryServer): Promise<void> {
  const deadline = performance.now() + UNUSED_DEADLINE_MS
  for (;;) {
    const used = Object.entries(server.usage()).filter(([, count]) => count !== 0)
    if (used.length === 0) return
    const counts = used.map(([name, count]) => `${name} ${count}`).join(', ')
    if (performance.now() > deadline) throw new Error(`still in use after all clients have left: ${counts}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface ReceivedAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The answer ended before its declared length. */
  readonly cut: boolean
}

export interface RequestOptions {
  /** The client's address; default 127.0.0.1, the only one that `startTestServer` treats as local. */
  readonly from?: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | undefined
  /** The CA of the server's certificate; with it the request uses TLS. */
  readonly ca?: string | undefined
  /** Aborts the request, whose promise then rejects. */
  readonly signal?: AbortSignal | undefined
}

/** Sends one HTTP/1.1 request on a new connection. */
export function requestHttp1(
  port: number,
  path: string,
  { from = '127.0.0.1', method = 'GET', headers = {}, body, ca, signal }: RequestOptions = {},
): Promise<ReceivedAnswer> {
  return new Promise((resolve, reject) => {
    const send = ca === undefined ? httpRequest : httpsRequest
    const request = send(
      { host: '127.0.0.1', localAddress: from, port, path, method, headers, agent: false, ca, signal },
      (response) => {
        const chunks: Buffer[] = []
        const got = (cut: boolean) => {
          const { statusCode: status = 0, headers } = response
          resolve({ status, headers, body: Buffer.concat(chunks), cut })
        }
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => got(false))
        response.on('error', () => got(true))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** Sends one HTTP/2 request on a new connection. */
export function requestHttp2(
  port: number,
  path: string,
  { from = '127.0.0.1', method = 'GET', headers = {}, body, ca, signal }: RequestOptions = {},
): Promise<ReceivedAnswer> {
  return new Promise((resolve, reject) => {
    const scheme = ca === undefined ? 'http' : 'https'
    const options = { ca, localAddress: from }
    const session = connectHttp2(`${scheme}://127.0.0.1:${port}`, options)
    const end = (): void => session.destroy(new Error('the request was aborted'))
    signal?.addEventListener('abort', end)
    session.on('error', reject)
    session.on('close', () => {
      signal?.removeEventListener('abort', end)
      reject(new Error('the connection was closed before an answer'))
    })
    const stream = session.request(
      { ':path': path, ':method': method, ...headers },
      { endStream: body === undefined },
    )
    const chunks: Buffer[] = []
    let status = 0
    let received: IncomingHttpHeaders = {}
    stream.on('response', (all) => {
      status = all[':status'] ?? 0
      received = all
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => {})
    stream.on('close', () => {
      session.close()
      resolve({ status, headers: received, body: Buffer.concat(chunks), cut: stream.rstCode !== 0 })
    })
    if (body !== undefined) stream.end(body)
  })
}

/** The code in an OCI error body; throws when the body is anything else. */
export function errorCodeOf({ headers, body }: ReceivedAnswer): string {
  if (headers['content-type'] !== 'application/json') throw new Error(`not JSON: ${headers['content-type']}`)
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] }
  const [error] = errors
  if (error === undefined || error.message === '' || error.message.includes('\n    at '))
    throw new Error('the body has no usable OCI error')
  return error.code
}

export function openSocket(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ...options }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Reads until the server closes the connection; `reset` is true when it did so with RST. */
export function readUntilClosed(socket: Socket): Promise<{ text: string; reset: boolean }> {
  return new Promise((resolve) => {
    let text = ''
    let reset = false
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reset = error.code === 'ECONNRESET'
    })
    socket.on('close', () => resolve({ text, reset }))
  })
}

/** Sends bytes unchanged and returns everything that the server sends before it closes the connection. */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  socket.write(bytes)
  return (await closed).text
}

type RequestEnded = Events['request.ended']

/** Resolves with the next `request.ended` event that `matches` accepts. */
export function nextRequestEnded(
  matches: (event: RequestEnded) => boolean = () => true,
): Promise<RequestEnded> {
  return new Promise((resolve) => {
    const unsubscribe = subscribe('request.ended', (event) => {
      if (!matches(event)) return
      unsubscribe()
      resolve(event)
    })
  })
}
