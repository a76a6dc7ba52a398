import { X509Certificate } from 'node:crypto'
import { ADDRCONFIG } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { LaneConnection } from '../../../lanes/lane-connection.ts'
import type { LanePool } from '../../../lanes/lane-pool.ts'
import type { LaneTls } from '../../../lanes/thread/messages.ts'
import { unlessAborted } from '../../../lib/async/abort.ts'
import { BoundedMap } from '../../../lib/bounded-map.ts'
import {
  type PeerCredentials,
  type RemoteIdentity,
  remoteIdentityIn,
  remoteIdentityOf,
  tlsOptions,
} from '../../identity/credentials.ts'
import type { Member } from '../../identity/member.ts'
import { failureOfConnection, peerFailure } from './resources.ts'

export type MemberAddress = Pick<Member, 'id' | 'name' | 'host' | 'port' | 'fingerprint'>

/** What a connection is for, as its ALPN name: content in bulk, or exchanges. */
type PeerAlpn = 'http/1.1' | 'h2'

/** The other end of a new connection. `identity` is undefined where it is the one of an earlier connection, or unknown. */
interface Answering {
  readonly alpn: string | false | null
  readonly isResumed: boolean
  readonly identity: RemoteIdentity | undefined
}

/** Bounds the memory for TLS sessions. A connection without a session costs a full handshake. */
const MAX_TLS_SESSIONS = 256
const TCP_KEEPALIVE_MS = 15_000

/** The key by which connections are reused. The id is part of it: another member may claim to have the same certificate. */
export function connectionKeyOf({ id, fingerprint, host, port }: MemberAddress): string {
  return `${id} ${fingerprint} ${host}:${port}`
}

/**
 * Opens TLS connections to other members, and checks that these members answer. Nothing is sent before the handshake is over,
 * and nothing at all to a member that is not the expected one.
 */
export class PeerConnector {
  /** Creating a secure context parses the certificates, so it is done once and not for every connection. */
  readonly #secureContext: SecureContext
  readonly #laneTls: LaneTls
  readonly #lanes: Pick<LanePool, 'connect'>
  readonly #connectMs: number
  /** A handshake that resumes a TLS session needs no signatures. */
  readonly #sessions = new BoundedMap<string, Uint8Array>(MAX_TLS_SESSIONS)
  #resumedSessions = 0

  constructor(
    credentials: PeerCredentials,
    { connectMs, lanes }: { connectMs: number; lanes: Pick<LanePool, 'connect'> },
  ) {
    const { key, cert, ca } = credentials
    this.#secureContext = createSecureContext(tlsOptions(credentials))
    this.#laneTls = { ca, rejectUnauthorized: true, own: { key, cert } }
    this.#lanes = lanes
    this.#connectMs = connectMs
  }

  /** How many connections have resumed a TLS session. */
  get resumedSessions(): number {
    return this.#resumedSessions
  }

  /** Opens a connection for exchanges. */
  connectForExchanges(member: MemberAddress, options: { signal: AbortSignal }): Promise<TLSSocket> {
    return this.#inTime(member, options.signal, async (signal) => {
      const socket = this.#begin(member)
      try {
        await once(socket, 'secureConnect', { signal })
        const isResumed = socket.isSessionReused()
        const identity = isResumed ? undefined : remoteIdentityOf(socket)
        this.#check(member, 'h2', { alpn: socket.alpnProtocol, isResumed, identity })
      } catch (error) {
        socket.destroy()
        throw error
      }
      socket.on('session', (session) => this.#sessions.set(connectionKeyOf(member), session))
      return socket
    })
  }

  /** Opens a connection of a lane for content. */
  connectForContent(member: MemberAddress, options: { signal: AbortSignal }): Promise<LaneConnection> {
    const { host, port } = member
    return this.#inTime(member, options.signal, async (signal) => {
      const addresses = await unlessAborted(lookup(host, { all: true, hints: ADDRCONFIG }), signal)
      const session = this.#sessions.get(connectionKeyOf(member))
      const target = { host, port, addresses, tls: this.#laneTls, session }
      const connection = await this.#lanes.connect(target, { signal })
      try {
        const { alpn = false, isResumed = false, certificate } = connection.server ?? {}
        const identity = certificate && remoteIdentityIn(new X509Certificate(certificate))
        this.#check(member, 'http/1.1', { alpn, isResumed, identity })
      } catch (error) {
        connection.destroy()
        throw error
      }
      connection.onTlsSession = (given) => this.#sessions.set(connectionKeyOf(member), given)
      return connection
    })
  }

  async #inTime<Connection>(
    member: MemberAddress,
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<Connection>,
  ): Promise<Connection> {
    const deadline = new AbortController()
    const late = peerFailure(member.name, `no connection within ${this.#connectMs} ms`)
    const timer = setTimeout(() => deadline.abort(late), this.#connectMs)
    try {
      return await open(AbortSignal.any([signal, deadline.signal]))
    } catch (error) {
      signal.throwIfAborted()
      throw deadline.signal.aborted ? late : failureOfConnection(member.name, error)
    } finally {
      clearTimeout(timer)
    }
  }

  #begin(member: MemberAddress): TLSSocket {
    const session = this.#sessions.get(connectionKeyOf(member))
    const socket = connect({
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
      host: member.host,
      port: member.port,
      ALPNProtocols: ['h2'],
      // The fingerprint identifies the member; the names in its certificate mean nothing.
      servername: '',
      checkServerIdentity: () => undefined,
      ...(session === undefined ? {} : { session: Buffer.from(session) }),
    })
    socket.setNoDelay(true)
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    socket.on('error', () => {})
    return socket
  }

  /** Only the member whose certificate was checked can resume its session. A resumed handshake shows no certificate. */
  #check({ id, fingerprint, name }: MemberAddress, alpn: PeerAlpn, answering: Answering): void {
    const { isResumed, identity } = answering
    if (isResumed) this.#resumedSessions += 1
    else if (identity?.id !== id || identity.fingerprint !== fingerprint) {
      throw peerFailure(name, 'presented a certificate that is not its own')
    }
    if (answering.alpn !== alpn) throw peerFailure(name, 'speaks another version of the peer protocol')
  }
}
