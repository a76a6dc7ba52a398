import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { openLanes } from '../src/lanes/lane-pool.ts'
import { RateLimiter } from '../src/lib/async/rate-limiter.ts'
import { digestOf } from '../src/oci/digest.ts'
import { memberIdOfKey, type PeerCredentials } from '../src/peers/identity/credentials.ts'
import { type Member, PEER_PROTOCOL } from '../src/peers/identity/member.ts'
import type { ConnectionResources, KnownMember } from '../src/peers/wire/connection/resources.ts'
import { SendBuffers } from '../src/peers/wire/connection/send-buffers.ts'
import type { ContentUpload } from '../src/peers/wire/content/content-upload.ts'
import type { StartedExchange } from '../src/peers/wire/control/control-client.ts'
import type { PeerExchange } from '../src/peers/wire/control/exchange.ts'
import { PeerClient, type PeerClientLimits } from '../src/peers/wire/peer-client.ts'
import { PeerServer, type PeerServerLimits } from '../src/peers/wire/peer-server.ts'
import type { Failure, FailureCode } from '../src/ports/failure.ts'
import type { VouchedIntake, Want } from '../src/ports/source.ts'
import { type Authority, makeAuthority } from './certificates.ts'

/** What `PeerLab.download` asks for. */
export const WANT: Want = {
  digest: digestOf(Buffer.from('any')),
  kind: 'blob',
  repository: { registry: 'up.test', name: 'team/app' },
}

/** The default deadline of a test. It is longer than anything takes on a busy machine. */
const DEADLINE_MS = 60_000

export function issueMemberCredentials(authority: Authority): PeerCredentials {
  const keys = generateKeyPairSync('ed25519')
  const { cert, key } = authority.issue(['neutral'], keys)
  const fingerprint = new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()
  return { cert, key, ca: [authority.ca], fingerprint, id: memberIdOfKey(keys.publicKey) }
}

export function connectionResources(given: Partial<ConnectionResources> = {}): ConnectionResources {
  return {
    uploadLimiter: new RateLimiter(undefined),
    downloadLimiter: new RateLimiter(undefined),
    sendBuffers: new SendBuffers(4 * 1024 * 1024),
    stallMs: DEADLINE_MS,
    lingerMs: DEADLINE_MS,
    ...given,
  }
}

export interface PeerLabOptions {
  readonly onExchange?: (request: unknown, exchange: PeerExchange) => Promise<void>
  readonly onContent?: (upload: ContentUpload) => Promise<void>
  readonly serverLimits?: Partial<PeerServerLimits>
  readonly clientLimits?: Partial<PeerClientLimits>
  readonly serverResources?: Partial<ConnectionResources>
  readonly clientResources?: Partial<ConnectionResources>
  readonly authority?: Authority
  readonly serverCredentials?: PeerCredentials
}

export interface PeerLab {
  readonly authority: Authority
  readonly server: PeerServer
  readonly client: PeerClient
  readonly port: number
  readonly serverCredentials: PeerCredentials
  /** The server knows the member with these credentials as `asker`. */
  readonly clientCredentials: PeerCredentials
  /** The member that the server is. */
  readonly member: Member
  request(message?: object): Promise<StartedExchange>
  /** Downloads what the intake lacks of `WANT`. */
  download(intake: VouchedIntake, options?: { signal?: AbortSignal; ms?: number }): Promise<void>
  /** Opens a TLS connection on which the test sends any bytes it likes. */
  connect(credentials?: Partial<PeerCredentials>, options?: object): TLSSocket
}

/** Starts a peer server and a peer client, on loopback. */
export async function peerLab(t: TestContext, options: PeerLabOptions): Promise<PeerLab> {
  const authority = options.authority ?? makeAuthority()
  const serverCredentials = options.serverCredentials ?? issueMemberCredentials(authority)
  const clientCredentials = issueMemberCredentials(authority)
  const asker: KnownMember = { name: 'asker', id: clientCredentials.id }
  const server = new PeerServer({
    listen: { host: '127.0.0.1', port: 0 },
    credentials: serverCredentials,
    resources: connectionResources(options.serverResources),
    memberOf: ({ fingerprint }) => (fingerprint === clientCredentials.fingerprint ? asker : undefined),
    onExchange: options.onExchange ?? (async () => {}),
    onContent: options.onContent ?? (async (upload) => upload.destroy()),
    limits: { handshakeMs: DEADLINE_MS, firstRequestMs: DEADLINE_MS, ...options.serverLimits },
  })
  const { host, port } = await server.start()
  const lanes = openLanes()
  const client = new PeerClient({
    credentials: clientCredentials,
    resources: connectionResources(options.clientResources),
    lanes,
    limits: { connectMs: DEADLINE_MS, silenceMs: DEADLINE_MS, ...options.clientLimits },
  })
  const sockets: TLSSocket[] = []
  t.after(async () => {
    client.close()
    for (const socket of sockets) socket.destroy()
    await server.stop({ drainMs: 0 })
    await lanes.stop()
  })
  const member = memberAt(serverCredentials, host, port)
  return {
    authority,
    server,
    client,
    port,
    serverCredentials,
    clientCredentials,
    member,
    request: (message = { ask: 'anything' }) =>
      client.request(member, message, { signal: neverAborted(), ms: DEADLINE_MS }),
    download: (intake, { signal = neverAborted(), ms = DEADLINE_MS } = {}) =>
      client.download(member, WANT, intake, { signal, ms }),
    connect(credentials = clientCredentials, more = {}) {
      const { key, cert, ca } = credentials
      const socket = connect({
        port,
        host,
        servername: '',
        checkServerIdentity: () => undefined,
        ALPNProtocols: ['http/1.1'],
        ...(key === undefined ? {} : { key }),
        ...(cert === undefined ? {} : { cert }),
        ca: [...(ca ?? [authority.ca])],
        ...more,
      })
      socket.on('error', () => {})
      sockets.push(socket)
      return socket
    },
  }
}

export function memberAt({ id, fingerprint }: PeerCredentials, host: string, port: number): Member {
  return {
    id,
    incarnation: 1,
    name: 'answerer',
    host,
    port,
    fingerprint,
    zone: undefined,
    version: '1.0.0',
    protocol: PEER_PROTOCOL,
  }
}

export function neverAborted(): AbortSignal {
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return signal
}

/** For `assert.rejects`: checks that the error is a `Failure` that names this member. */
export function isFailureOf(code: FailureCode, message: RegExp, source = 'answerer') {
  return (error: unknown): boolean => {
    const found = error as Failure
    if (found.name === 'Failure' && found.code === code && message.test(found.message)) {
      return found.details.source === source && found.message.startsWith(source)
    }
    throw error
  }
}

/** Resolves when the socket is closed, also when it was closed before. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

/** Gives everything that the socket receives until it is closed. */
export async function receivedUntilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await closed(socket)
  return Buffer.concat(chunks)
}
