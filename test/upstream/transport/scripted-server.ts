import { once, setMaxListeners } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import type { HttpResponse, SendRequest } from '../../../src/upstream/http/messages.ts'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { BlobClient } from '../../../src/upstream/transport/blob-client.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'

const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

export interface ClientWithServer {
  readonly client: BlobClient
  readonly sockets: readonly Socket[]
  /** The URLs of requests that went to the fallback. */
  readonly fallbackUrls: URL[]
  get(path?: string, headers?: Record<string, string>): Promise<HttpResponse>
  body(response: HttpResponse): Promise<Buffer>
}

/** A client, and a server that answers its n-th request with what `answer` writes. */
export async function startServer(
  t: TestContext,
  answer: (socket: Socket, request: string, n: number) => void,
  options: { idleMs?: number } = {},
): Promise<ClientWithServer> {
  const sockets: Socket[] = []
  let n = 0
  const server = createServer((socket) => {
    sockets.push(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end)
        text = text.slice(end + 4)
        answer(socket, request, n)
        n += 1
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const fallbackUrls: URL[] = []
  const fallback: SendRequest = async ({ url }) => {
    fallbackUrls.push(url)
    throw new Failure('unavailable', 'sent to the fallback')
  }
  const client = new BlobClient({
    lanes: sharedLanes(),
    tls: { ca: undefined, rejectUnauthorized: true },
    connectMs: 60_000,
    headerMs: 60_000,
    fallback,
    ...options,
  })
  t.after(() => client.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return {
    client,
    sockets,
    fallbackUrls,
    get: (path = '/', headers = {}) =>
      client.send({
        method: 'GET',
        url: new URL(path, origin),
        headers,
        kind: 'blob',
        scopeLimit: ANY_SCOPE,
        signal,
      }),
    async body(response) {
      const intake = new MemoryIntake()
      await response.body.readInto(intake, ALL)
      return intake.bytes
    },
  }
}
