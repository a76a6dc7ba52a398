import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Client } from '../../src/registry-api/connections/client.ts'
import type { Limits } from '../../src/registry-api/limits.ts'
import { createRegistryServer, type RegistryServer } from '../../src/registry-api/server.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'

export interface Door {
  readonly resolver: MemoryResolver
  readonly server: RegistryServer
  readonly port: number
}

export const ALPINE = { registry: 'docker.io', name: 'library/alpine' }

/** A server before a resolver in memory, closed when the test is over. */
export async function openDoor(
  t: TestContext,
  options: {
    limits?: Partial<Limits>
    allow?: readonly string[]
    tls?: { certFile: string; keyFile: string }
  } = {},
): Promise<Door> {
  const resolver = new MemoryResolver()
  const listen = { host: '127.0.0.1', port: 0 }
  const clientOf = (address = ''): Client => ({ address, isLocal: address === '127.0.0.1' })
  const server = createRegistryServer({
    resolver,
    listen,
    clientOf,
    defaultNamespace: 'docker.io',
    ...options,
  })
  const { port } = await server.start()
  t.after(async () => {
    await server.close()
    await unused(server)
  })
  return { resolver, server, port }
}

const UNUSED_MS = 60_000

/** Nothing that is limited is held by a client any more, or the test has failed. */
export async function unused(server: RegistryServer): Promise<void> {
  const deadline = performance.now() + UNUSED_MS
  for (;;) {
    const used = Object.entries(server.usage()).filter(([, count]) => count !== 0)
    if (used.length === 0) return
    const told = used.map(([name, count]) => `${name} ${count}`).join(', ')
    if (performance.now() > deadline) throw new Error(`still held by clients that are gone: ${told}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The answer ended before its Content-Length. */
  readonly cut: boolean
}

export interface Ask {
  /** The address that the client has; default 127.0.0.1, the only one that a server of `openDoor` takes for this machine. */
  readonly from?: string
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The authority behind the server's certificate: with one the request goes over TLS. */
  readonly ca?: string | undefined
  /** Ends the request, which then fails. */
  readonly signal?: AbortSignal | undefined
}

/** One request over HTTP/1.1, on a connection of its own. */
export function ask(
  port: number,
  path: string,
  { from = '127.0.0.1', method = 'GET', headers = {}, ca, signal }: Ask = {},
): Promise<Got> {
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
    request.end()
  })
}

/** The same over HTTP/2. */
export function askHttp2(
  port: number,
  path: string,
  { from = '127.0.0.1', method = 'GET', headers = {}, ca, signal }: Ask = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const scheme = ca === undefined ? 'http' : 'https'
    const options = { ca, localAddress: from }
    const session = connectHttp2(`${scheme}://127.0.0.1:${port}`, options)
    const end = (): void => session.destroy(new Error('the request was ended'))
    signal?.addEventListener('abort', end)
    session.on('error', reject)
    session.on('close', () => {
      signal?.removeEventListener('abort', end)
      reject(new Error('the connection was closed before an answer'))
    })
    const stream = session.request({ ':path': path, ':method': method, ...headers })
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
    stream.end()
  })
}

/** The code of an OCI error body. Fails on anything else. */
export function codeOf({ headers, body }: Got): string {
  if (headers['content-type'] !== 'application/json') throw new Error(`not JSON: ${headers['content-type']}`)
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] }
  const [error] = errors
  if (error === undefined || error.message === '' || error.message.includes('\n    at '))
    throw new Error('no error')
  return error.code
}

export function dial(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ...options }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Everything that comes until the other side closes; `reset` when it did so with RST. */
export function untilClosed(socket: Socket): Promise<{ text: string; reset: boolean }> {
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

/** Sends bytes as they are and gives everything that comes back. */
export async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = await dial(port)
  const closed = untilClosed(socket)
  socket.write(bytes)
  return (await closed).text
}

type Ended = Events['request.ended']

export function nextEnded(is: (fact: Ended) => boolean = () => true): Promise<Ended> {
  return new Promise((resolve) => {
    const end = subscribe('request.ended', (fact) => {
      if (!is(fact)) return
      end()
      resolve(fact)
    })
  })
}
