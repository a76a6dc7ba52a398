import { once } from 'node:events'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer, type TLSSocket } from 'node:tls'
import { PeerClient, type PeerClientLimits } from '../../../src/peers/wire/peer-client.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import {
  connectionResources,
  issueMemberCredentials,
  memberAt,
  neverAborted,
} from '../../../testkit/peer-lab.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'

export const wait = { signal: neverAborted(), ms: 60_000 }
export const HELLO = { ask: 'hello' }

/** A member whose bytes are written by the test. */
export async function scriptedMember(
  t: TestContext,
  onSocket: (socket: TLSSocket, n: number) => void,
  limits: Partial<PeerClientLimits> = {},
) {
  const authority = makeAuthority()
  const credentials = issueMemberCredentials(authority)
  const sockets: TLSSocket[] = []
  const options = { cert: credentials.cert, key: credentials.key, ALPNProtocols: ['h2', 'http/1.1'] }
  const server = createServer(options, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onSocket(socket, sockets.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const lanes = sharedLanes()
  const client = new PeerClient({
    credentials: issueMemberCredentials(authority),
    resources: connectionResources(),
    lanes,
    limits: { connectMs: 60_000, silenceMs: 60_000, ...limits },
  })
  t.after(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const member = memberAt(credentials, '127.0.0.1', (server.address() as AddressInfo).port)
  return { member, client, sockets, authority, request: () => client.request(member, HELLO, wait) }
}

/** Speaks HTTP/2 on the sockets of a member, and passes each stream to the test. */
export function speakHttp2(
  onStream: (stream: ServerHttp2Stream, n: number) => void,
): (socket: TLSSocket) => void {
  let count = 0
  const server = createHttp2Server()
  server.on('sessionError', () => {})
  server.on('stream', (stream) => {
    count += 1
    stream.on('error', () => {})
    onStream(stream, count)
  })
  return (socket) => {
    server.emit('connection', socket)
  }
}
