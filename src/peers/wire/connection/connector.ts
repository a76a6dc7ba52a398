import type { OnReadOpts } from 'node:net'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { BoundedMap } from '../../../lib/bounded-map.ts'
import { type PeerCredentials, remoteIdentityOf, tlsOptions } from '../../identity/credentials.ts'
import type { Member } from '../../identity/member.ts'
import { failureOfConnection, peerFailure } from './resources.ts'

export type MemberAddress = Pick<Member, 'id' | 'name' | 'host' | 'port' | 'fingerprint'>

/** What a connection is for, as its ALPN name: content in bulk, or exchanges. */
export type PeerAlpn = 'http/1.1' | 'h2'

/** Bounds the memory for TLS sessions. A connection without a session costs a full handshake. */
const MAX_TLS_SESSIONS = 256
const TCP_KEEPALIVE_MS = 15_000

/** The key by which connections are reused. The id is part of it: another member may claim to have the same certificate. */
export function connectionKeyOf({ id, fingerprint, host, port }: MemberAddress): string {
  return `${id} ${fingerprint} ${host}:${port}`
}

/** Opens TLS connections to other members, and checks that these members answer. */
export class PeerConnector {
  /** Creating a secure context parses the certificates, so it is done once and not for every connection. */
  readonly #secureContext: SecureContext
  readonly #connectMs: number
  /** A handshake that resumes a TLS session needs no signatures. */
  readonly #sessions = new BoundedMap<string, Buffer>(MAX_TLS_SESSIONS)
  #resumedSessions = 0

  constructor(credentials: PeerCredentials, { connectMs }: { connectMs: number }) {
    this.#secureContext = createSecureContext(tlsOptions(credentials))
    this.#connectMs = connectMs
  }

  /** How many connections have resumed a TLS session. */
  get resumedSessions(): number {
    return this.#resumedSessions
  }

  /**
   * Connects. `open` gets a function that creates the socket, and resolves when the handshake is over. Nothing is sent
   * before that, and nothing at all to a member that is not the expected one.
   */
  async connect<Connection>(
    member: MemberAddress,
    alpn: PeerAlpn,
    open: (
      begin: (onread?: OnReadOpts) => TLSSocket,
      options: { signal: AbortSignal },
    ) => Promise<Connection>,
    { signal }: { signal: AbortSignal },
  ): Promise<Connection> {
    const deadline = new AbortController()
    const late = peerFailure(member.name, `no connection within ${this.#connectMs} ms`)
    const timer = setTimeout(() => deadline.abort(late), this.#connectMs)
    let socket: TLSSocket | undefined
    const begin = (onread?: OnReadOpts): TLSSocket => {
      socket = this.#begin(member, alpn, onread)
      return socket
    }
    try {
      const connection = await open(begin, { signal: AbortSignal.any([signal, deadline.signal]) })
      if (socket !== undefined) this.#check(socket, member, alpn)
      return connection
    } catch (error) {
      socket?.destroy()
      signal.throwIfAborted()
      throw deadline.signal.aborted ? late : failureOfConnection(member.name, error)
    } finally {
      clearTimeout(timer)
    }
  }

  #begin(member: MemberAddress, alpn: PeerAlpn, onread: OnReadOpts | undefined): TLSSocket {
    const session = this.#sessions.get(connectionKeyOf(member))
    const options = {
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
      host: member.host,
      port: member.port,
      ALPNProtocols: [alpn],
      // The fingerprint identifies the member; the names in its certificate mean nothing.
      servername: '',
      checkServerIdentity: () => undefined,
      ...(onread === undefined ? {} : { onread }),
      ...(session === undefined ? {} : { session }),
    }
    const socket = connect(options)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    socket.on('error', () => {})
    return socket
  }

  /** Only the member whose certificate was checked can resume its session. A resumed handshake shows no certificate. */
  #check(socket: TLSSocket, member: MemberAddress, alpn: PeerAlpn): void {
    const { id, fingerprint, name } = member
    const isResumed = socket.isSessionReused()
    if (isResumed) this.#resumedSessions += 1
    const remote = isResumed ? { id, fingerprint } : remoteIdentityOf(socket)
    if (remote?.id !== id || remote.fingerprint !== fingerprint) {
      throw peerFailure(name, 'presented a certificate that is not its own')
    }
    if (socket.alpnProtocol !== alpn) throw peerFailure(name, 'speaks another version of the peer protocol')
    socket.on('session', (session) => this.#sessions.set(connectionKeyOf(member), session))
  }
}
