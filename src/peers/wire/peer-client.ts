import { once } from 'node:events'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { onAbort } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { Failure } from '../../ports/failure.ts'
import { type PeerCredentials, remoteIdentityOf, tlsOptions } from '../identity/credentials.ts'
import type { Member } from '../identity/member.ts'
import { Connection, type Traffic } from './connection.ts'
import { Line } from './exchange.ts'
import { Pool, type PoolLimits } from './pool.ts'

export interface DialLimits extends PoolLimits {
  readonly connectMs: number
}

const DIAL_LIMITS: DialLimits = { connectMs: 2000, idleMs: 30_000, idleEach: 8, idleAll: 64 }

export interface DialerOptions {
  readonly credentials: PeerCredentials
  readonly traffic: Traffic
  readonly limits?: Partial<DialLimits> | undefined
}

/** What a member has answered, and the line for what follows. Whoever is given it ends the line. */
export interface Answered {
  readonly answer: unknown
  readonly line: Line
}

type Callee = Pick<Member, 'id' | 'name' | 'host' | 'port' | 'fingerprint'>

const REMEMBERED_SESSIONS = 256

/** Asks other members, over connections that are kept for a while. */
export class Dialer {
  /** Made once: the certificates are not read anew for every connection. */
  readonly #secureContext: SecureContext
  readonly #traffic: Traffic
  readonly #limits: DialLimits
  readonly #pool: Pool
  readonly #busy = new Set<Connection>()
  /** TLS sessions to go on with: a handshake without signatures. */
  readonly #sessions = new BoundedMap<string, Buffer>(REMEMBERED_SESSIONS)
  #resumed = 0
  readonly #closing = new AbortController()

  constructor({ credentials, traffic, limits }: DialerOptions) {
    this.#secureContext = createSecureContext(tlsOptions(credentials))
    this.#traffic = traffic
    this.#limits = { ...DIAL_LIMITS, ...limits }
    this.#pool = new Pool(this.#limits)
  }

  /** Connections that are kept for the next one to ask. */
  get idle(): number {
    return this.#pool.size
  }

  /** Connections that went on with a session of before. */
  get resumed(): number {
    return this.#resumed
  }

  /**
   * Begins an exchange with `message` and waits up to `ms` for the first answer. A kept connection that turns out to be
   * gone says nothing about the member: that one is asked over a new one.
   */
  async ask(
    member: Callee,
    message: object,
    { signal, ms }: { signal: AbortSignal; ms: number },
  ): Promise<Answered> {
    // What is kept for one member is not used for another that is said to have the same certificate.
    const key = `${member.id} ${member.fingerprint} ${member.host}:${member.port}`
    signal.throwIfAborted()
    const kept = this.#pool.take(key)
    if (kept !== undefined) {
      this.#use(kept)
      try {
        return await this.#begin(key, kept, message, { signal, ms })
      } catch (error) {
        if (error !== kept.reason || kept.inbound.heard || signal.aborted) throw error
        this.#pool.drop(key)
      }
    }
    const fresh = await this.#connect(key, member, signal)
    return this.#begin(key, fresh, message, { signal, ms })
  }

  /** Breaks everything under way, too. */
  close(): void {
    const reason = new Failure('stopping', 'the agent is stopping')
    this.#closing.abort(reason)
    this.#pool.drop()
    for (const connection of this.#busy) connection.die(reason)
  }

  async #begin(
    key: string,
    connection: Connection,
    message: object,
    options: { signal: AbortSignal; ms: number },
  ): Promise<Answered> {
    const line = new Line(connection, () => {
      this.#busy.delete(connection)
      this.#pool.put(key, connection)
    })
    try {
      line.send(message)
      const answer = await line.receive(options)
      if (answer === undefined) throw connection.failure('no answer')
      return { answer, line }
    } catch (error) {
      line.destroy()
      throw error
    }
  }

  #use(connection: Connection): void {
    this.#busy.add(connection)
    connection.onDeath(() => this.#busy.delete(connection))
  }

  async #connect(key: string, member: Callee, signal: AbortSignal): Promise<Connection> {
    const { connectMs } = this.#limits
    this.#closing.signal.throwIfAborted()
    const { id, name, fingerprint } = member
    const connection = new Connection({
      who: name,
      member: { id, name },
      shown: { id, fingerprint },
      traffic: this.#traffic,
    })
    const session = this.#sessions.get(key)
    const options = {
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
      host: member.host,
      port: member.port,
      // Whom it has to be is known by its fingerprint; the names in a certificate say nothing.
      servername: '',
      checkServerIdentity: () => undefined,
      onread: connection.onread,
      ...(session === undefined ? {} : { session }),
    }
    const socket = connect(options)
    connection.attach(socket)
    this.#use(connection)
    const late = setTimeout(
      () => connection.die(connection.failure(`no connection within ${connectMs} ms`)),
      connectMs,
    )
    const stop = onAbort(signal, () => connection.die(signal.reason))
    try {
      await this.#secured(socket, connection)
    } finally {
      clearTimeout(late)
      stop()
    }
    // A session is gone on with only by the one whose certificate was seen when it began; it is not shown again.
    const isResumed = socket.isSessionReused()
    if (isResumed) this.#resumed += 1
    const shown = isResumed ? { id, fingerprint } : remoteIdentityOf(socket)
    const isExpected = shown?.id === id && shown.fingerprint === fingerprint
    if (!isExpected) {
      const failure = connection.failure('answers with a certificate that is not its own')
      connection.die(failure)
      throw failure
    }
    socket.on('session', (fresh) => this.#sessions.set(key, fresh))
    return connection
  }

  async #secured(socket: TLSSocket, connection: Connection): Promise<void> {
    const broken = new AbortController()
    const stop = connection.onDeath((reason) => broken.abort(reason))
    try {
      await once(socket, 'secureConnect', { signal: broken.signal })
    } catch (error) {
      this.#throwReason(connection, error)
    } finally {
      stop()
    }
  }

  #throwReason(connection: Connection, error: unknown): never {
    throw connection.isAlive ? error : connection.reason
  }
}
