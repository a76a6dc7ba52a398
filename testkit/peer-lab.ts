import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { RateLimiter } from '../src/lib/async/rate-limiter.ts'
import type { Digest } from '../src/oci/digest.ts'
import { memberIdOfKey, type PeerCredentials } from '../src/peers/identity/credentials.ts'
import { type Member, PEER_PROTOCOL } from '../src/peers/identity/member.ts'
import type { Partner, Traffic } from '../src/peers/wire/connection.ts'
import type { Line } from '../src/peers/wire/exchange.ts'
import { Dialer, type DialLimits } from '../src/peers/wire/peer-client.ts'
import { Door, type DoorLimits } from '../src/peers/wire/peer-server.ts'
import { Pieces } from '../src/peers/wire/send-buffers.ts'
import type { Content } from '../src/ports/content.ts'
import type { Failure, FailureCode } from '../src/ports/failure.ts'
import { type Authority, makeAuthority } from './certificates.ts'

/** Longer than anything takes on a busy machine, where a test says nothing else. */
const PATIENCE_MS = 60_000

export function issue(authority: Authority): PeerCredentials {
  const keys = generateKeyPairSync('ed25519')
  const { cert, key } = authority.issue(['neutral'], keys)
  const fingerprint = new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()
  return { cert, key, ca: [authority.ca], fingerprint, id: memberIdOfKey(keys.publicKey) }
}

export function traffic(given: Partial<Traffic> = {}): Traffic {
  return {
    upload: new RateLimiter(undefined),
    download: new RateLimiter(undefined),
    pieces: new Pieces(4 * 1024 * 1024),
    stallMs: PATIENCE_MS,
    lingerMs: PATIENCE_MS,
    ...given,
  }
}

export interface PeerLabOptions {
  readonly onExchange: (first: unknown, line: Line) => Promise<void>
  readonly door?: Partial<DoorLimits>
  readonly dial?: Partial<DialLimits>
  /** Of the one who answers, and of the one who asks. */
  readonly traffic?: Partial<Traffic>
  readonly asking?: Partial<Traffic>
  readonly authority?: Authority
  readonly answering?: PeerCredentials
}

export interface PeerLab {
  readonly authority: Authority
  readonly door: Door
  readonly dialer: Dialer
  readonly port: number
  /** Who answers at the door. */
  readonly answering: PeerCredentials
  /** Who asks, and is known at the door as `asker`. */
  readonly asking: PeerCredentials
  readonly member: Member
  ask(message?: object): Promise<{ readonly answer: unknown; readonly line: Line }>
  /** A TLS connection of somebody who speaks as it likes. */
  speak(credentials?: Partial<PeerCredentials>, options?: object): TLSSocket
}

/** One member that answers and one that asks, on loopback. */
export async function peerLab(t: TestContext, options: PeerLabOptions): Promise<PeerLab> {
  const authority = options.authority ?? makeAuthority()
  const answering = options.answering ?? issue(authority)
  const asking = issue(authority)
  const asker: Partner = { name: 'asker', id: asking.id }
  const door = new Door({
    listen: { host: '127.0.0.1', port: 0 },
    credentials: answering,
    traffic: traffic(options.traffic),
    memberOf: (fingerprint) => (fingerprint === asking.fingerprint ? asker : undefined),
    onExchange: options.onExchange,
    limits: { handshakeMs: PATIENCE_MS, firstMs: PATIENCE_MS, ...options.door },
  })
  const { host, port } = await door.start()
  const dialer = new Dialer({
    credentials: asking,
    traffic: traffic(options.asking),
    limits: { connectMs: PATIENCE_MS, ...options.dial },
  })
  const sockets: TLSSocket[] = []
  t.after(async () => {
    dialer.close()
    for (const socket of sockets) socket.destroy()
    await door.stop({ drainMs: 0 })
  })
  const member = memberAt(answering, host, port)
  return {
    authority,
    door,
    dialer,
    port,
    answering,
    asking,
    member,
    ask: (message = { ask: 'anything' }) =>
      dialer.ask(member, message, { signal: unending(), ms: PATIENCE_MS }),
    speak(credentials = asking, more = {}) {
      const { key, cert, ca } = credentials
      const socket = connect({
        port,
        host,
        servername: '',
        checkServerIdentity: () => undefined,
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
    load: 0,
  }
}

export function unending(): AbortSignal {
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return signal
}

/** Content that is here as far as the test says. */
export class GrowingContent implements Content {
  readonly digest: Digest
  readonly mediaType = undefined
  readonly size: number
  readonly #bytes: Uint8Array
  readonly #waiting = new Set<() => void>()
  #here: number
  #failure: Failure | undefined
  isClosed = false

  constructor(bytes: Uint8Array, here = bytes.length) {
    this.digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
    this.#bytes = bytes
    this.size = bytes.length
    this.#here = here
  }

  grow(to: number): void {
    this.#here = to
    this.#tell()
  }

  fail(failure: Failure): void {
    this.#failure = failure
    this.#tell()
  }

  async readable(offset: number, { signal }: { signal: AbortSignal }): Promise<number> {
    for (;;) {
      if (this.#here > offset || this.#here === this.size) return this.#here
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add(resolve)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const part = this.#bytes.subarray(position, Math.min(this.#here, position + target.length))
    target.set(part)
    return part.length
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  #tell(): void {
    for (const tell of this.#waiting) tell()
    this.#waiting.clear()
  }
}

/** For `assert.rejects`: a `Failure` of this member. */
export function failure(code: FailureCode, words: RegExp, source = 'answerer') {
  return (error: unknown): boolean => {
    const found = error as Failure
    if (found.name === 'Failure' && found.code === code && words.test(found.message)) {
      return found.details.source === source && found.message.startsWith(source)
    }
    throw error
  }
}

/** Whatever has happened to it before. */
export async function closeOf(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

/** What a socket gets until it is closed. */
export async function heardBy(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await closeOf(socket)
  return Buffer.concat(chunks)
}
