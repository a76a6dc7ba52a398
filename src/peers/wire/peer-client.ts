import { once } from 'node:events'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { onAbort } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { Failure } from '../../ports/failure.ts'
import { type PeerCredentials, remoteIdentityOf, tlsOptions } from '../identity/credentials.ts'
import type { Member } from '../identity/member.ts'
import { type ConnectionResources, PeerConnection } from './connection/connection.ts'
import { ConnectionPool, type ConnectionPoolLimits } from './connection-pool.ts'
import { PeerExchange } from './exchange.ts'

export interface PeerClientLimits extends ConnectionPoolLimits {
  readonly connectMs: number
}

const DEFAULT_LIMITS: PeerClientLimits = {
  connectMs: 2000,
  idleMs: 30_000,
  maxIdlePerMember: 8,
  maxIdle: 64,
}

export interface PeerClientOptions {
  readonly credentials: PeerCredentials
  readonly resources: ConnectionResources
  readonly limits?: Partial<PeerClientLimits> | undefined
}

/** The first answer of a member, and the exchange that goes on after it. The receiver must end the exchange. */
export interface StartedExchange {
  readonly answer: unknown
  readonly exchange: PeerExchange
}

type MemberAddress = Pick<Member, 'id' | 'name' | 'host' | 'port' | 'fingerprint'>

/** Bounds the memory for TLS sessions. A connection without a session costs a full handshake. */
const MAX_TLS_SESSIONS = 256

/** Sends requests to other members, over connections that are reused. */
export class PeerClient {
  /** Creating a secure context parses the certificates, so it is done once and not for every connection. */
  readonly #secureContext: SecureContext
  readonly #resources: ConnectionResources
  readonly #limits: PeerClientLimits
  readonly #pool: ConnectionPool
  readonly #busy = new Set<PeerConnection>()
  /** A handshake that resumes a TLS session needs no signatures. */
  readonly #sessions = new BoundedMap<string, Buffer>(MAX_TLS_SESSIONS)
  #resumedSessions = 0
  readonly #closing = new AbortController()

  constructor({ credentials, resources, limits }: PeerClientOptions) {
    this.#secureContext = createSecureContext(tlsOptions(credentials))
    this.#resources = resources
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#pool = new ConnectionPool(this.#limits)
  }

  /** How many connections wait for the next request. */
  get idleConnections(): number {
    return this.#pool.size
  }

  /** How many connections have resumed a TLS session. */
  get resumedSessions(): number {
    return this.#resumedSessions
  }

  /**
   * Begins an exchange with `message`, and waits up to `ms` for the first answer. When an idle connection turns out to be
   * broken, the request is sent again over a new one, because that says nothing about the member.
   */
  async request(
    member: MemberAddress,
    message: object,
    { signal, ms }: { signal: AbortSignal; ms: number },
  ): Promise<StartedExchange> {
    // The id is part of the key: another member may claim to have the same certificate.
    const key = `${member.id} ${member.fingerprint} ${member.host}:${member.port}`
    signal.throwIfAborted()
    const idle = this.#pool.take(key)
    if (idle !== undefined) {
      this.#use(idle)
      try {
        return await this.#begin(key, idle, message, { signal, ms })
      } catch (error) {
        if (error !== idle.closeReason || idle.receiver.hasReceived || signal.aborted) throw error
        this.#pool.closeIdle(key)
      }
    }
    const connection = await this.#connect(key, member, signal)
    return this.#begin(key, connection, message, { signal, ms })
  }

  /** Closes all connections, also those of exchanges under way. */
  close(): void {
    const reason = new Failure('stopping', 'the agent is stopping')
    this.#closing.abort(reason)
    this.#pool.closeIdle()
    for (const connection of this.#busy) connection.close(reason)
  }

  async #begin(
    key: string,
    connection: PeerConnection,
    message: object,
    options: { signal: AbortSignal; ms: number },
  ): Promise<StartedExchange> {
    const exchange = new PeerExchange(connection, () => {
      this.#busy.delete(connection)
      this.#pool.add(key, connection)
    })
    try {
      exchange.send(message)
      const answer = await exchange.receive(options)
      if (answer === undefined) throw connection.failure('ended the exchange without an answer')
      return { answer, exchange }
    } catch (error) {
      exchange.destroy()
      throw error
    }
  }

  #use(connection: PeerConnection): void {
    this.#busy.add(connection)
    connection.onClose(() => this.#busy.delete(connection))
  }

  async #connect(key: string, member: MemberAddress, signal: AbortSignal): Promise<PeerConnection> {
    const { connectMs } = this.#limits
    this.#closing.signal.throwIfAborted()
    const { id, name, fingerprint } = member
    const connection = new PeerConnection({
      peerName: name,
      member: { id, name },
      remoteIdentity: { id, fingerprint },
      resources: this.#resources,
    })
    const session = this.#sessions.get(key)
    const options = {
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
      host: member.host,
      port: member.port,
      // The fingerprint identifies the member; the names in its certificate mean nothing.
      servername: '',
      checkServerIdentity: () => undefined,
      onread: connection.onread,
      ...(session === undefined ? {} : { session }),
    }
    const socket = connect(options)
    connection.attach(socket)
    this.#use(connection)
    const timer = setTimeout(
      () => connection.close(connection.failure(`no connection within ${connectMs} ms`)),
      connectMs,
    )
    const stop = onAbort(signal, () => connection.close(signal.reason))
    try {
      await this.#handshake(socket, connection)
    } finally {
      clearTimeout(timer)
      stop()
    }
    // Only the member whose certificate was checked can resume its session. A resumed handshake shows no certificate.
    const isResumed = socket.isSessionReused()
    if (isResumed) this.#resumedSessions += 1
    const remote = isResumed ? { id, fingerprint } : remoteIdentityOf(socket)
    const isExpected = remote?.id === id && remote.fingerprint === fingerprint
    if (!isExpected) {
      const failure = connection.failure('presented a certificate that is not its own')
      connection.close(failure)
      throw failure
    }
    socket.on('session', (session) => this.#sessions.set(key, session))
    return connection
  }

  async #handshake(socket: TLSSocket, connection: PeerConnection): Promise<void> {
    const closed = new AbortController()
    const removeListener = connection.onClose((reason) => closed.abort(reason))
    try {
      await once(socket, 'secureConnect', { signal: closed.signal })
    } catch (error) {
      throw connection.isOpen ? error : connection.closeReason
    } finally {
      removeListener()
    }
  }
}
