import { type ClientHttp2Session, connect } from 'node:http2'
import { unlessAborted } from '../../../lib/async/abort.ts'
import type { Failure } from '../../../ports/failure.ts'
import { PEER_PROTOCOL } from '../../identity/member.ts'
import { connectionKeyOf, type MemberAddress, type PeerConnector } from '../connection/connector.ts'
import { peerFailure } from '../connection/resources.ts'
import { ControlSession, exchangePath, SESSION_OPTIONS } from './control-session.ts'
import type { PeerExchange } from './exchange.ts'
import { messageLine } from './message-lines.ts'

/** The first answer of a member, and the exchange that goes on after it. The receiver must end the exchange. */
export interface StartedExchange {
  readonly answer: unknown
  readonly exchange: PeerExchange
}

export interface ControlClientOptions {
  readonly connector: PeerConnector
  readonly lingerMs: number
  readonly idleMs: number
  /** A request fails when its session is silent for so long, and the session gets no more requests. */
  readonly silenceMs: number
  /** How many sessions without an exchange are kept. */
  readonly maxIdle: number
}

/** The session with one member to which new exchanges go. It may still be connecting. */
interface MemberSession {
  readonly ready: Promise<{ readonly session: ClientHttp2Session; readonly control: ControlSession }>
}

/** Nothing comes on the session, so that it, or the member, may be broken. */
class SilentSession extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.name = 'SilentSession'
    this.failure = failure
  }
}

/** Begins exchanges with other members, over one session with each. */
export class ControlClient {
  readonly #options: ControlClientOptions
  readonly #members = new Map<string, MemberSession>()
  /** All sessions, also those that begin no new exchanges. */
  readonly #open = new Set<ControlSession>()
  /** The sessions without an exchange; the one that was used last is the last one. */
  readonly #idle = new Set<ControlSession>()
  readonly #closing = new AbortController()

  constructor(options: ControlClientOptions) {
    this.#options = options
  }

  get idleCount(): number {
    return this.#idle.size
  }

  /**
   * Begins an exchange with `message`, and waits up to `ms` for the first answer. When a session that was used before turns
   * out to be broken, the request is sent again over a new one, because that says nothing about the member.
   */
  async request(
    member: MemberAddress,
    message: object,
    options: { signal: AbortSignal; ms: number },
  ): Promise<StartedExchange> {
    const { signal } = options
    // A message that is too long must not cost a connection.
    messageLine(message)
    const key = connectionKeyOf(member)
    for (let isRetry = false; ; isRetry = true) {
      signal.throwIfAborted()
      const known = this.#members.get(key)
      const current = known ?? this.#connect(key, member)
      const { session, control } = await unlessAborted(current.ready, signal)
      const exchange = control.isUsable ? this.#begin(session, control, member) : undefined
      try {
        if (exchange === undefined) throw control.closeReason ?? peerFailure(member.name, 'takes no requests')
        exchange.send(message)
        const answer = await this.#firstAnswer(exchange, control, options)
        return { answer, exchange }
      } catch (error) {
        exchange?.destroy()
        const isBroken = !control.isUsable && exchange?.hasReceived !== true
        if (isBroken || error instanceof SilentSession) this.#forget(key, current)
        if (error instanceof SilentSession) throw error.failure
        if (known === undefined || isRetry || !isBroken || signal.aborted) throw error
      }
    }
  }

  close(reason: unknown): void {
    this.#closing.abort(reason)
    for (const control of [...this.#open]) control.destroy(reason)
  }

  /** Waits no longer on a session that is silent than for a new connection. */
  async #firstAnswer(
    exchange: PeerExchange,
    control: ControlSession,
    { signal, ms }: { signal: AbortSignal; ms: number },
  ): Promise<unknown> {
    const { silenceMs } = this.#options
    const waiting = new AbortController()
    const silent = new AbortController()
    const failure = exchange.failure(`sent nothing within ${silenceMs} ms`)
    const alive = control.isAlive({ ms: silenceMs, signal: waiting.signal })
    void alive.then((isAlive) => isAlive || silent.abort(new SilentSession(failure)))
    try {
      const answer = await exchange.receive({ signal: AbortSignal.any([signal, silent.signal]), ms })
      if (answer === undefined) throw exchange.failure('ended the exchange without an answer')
      return answer
    } finally {
      waiting.abort()
    }
  }

  #begin(session: ClientHttp2Session, control: ControlSession, member: MemberAddress): PeerExchange {
    const { id, name, fingerprint } = member
    const stream = session.request({ ':method': 'POST', ':path': exchangePath(PEER_PROTOCOL) })
    const peer = { peerName: name, member: { id, name }, remoteIdentity: { id, fingerprint } }
    const exchange = control.begin(stream, peer)
    stream.once('response', ({ ':status': status }) => {
      if (status !== 200) exchange.fail(exchange.failure(`has answered a request with the status ${status}`))
    })
    return exchange
  }

  #connect(key: string, member: MemberAddress): MemberSession {
    const current: MemberSession = { ready: this.#openSession(member, () => this.#forget(key, current)) }
    this.#members.set(key, current)
    current.ready.catch(() => this.#forget(key, current))
    return current
  }

  async #openSession(member: MemberAddress, onClosed: () => void) {
    const { connector, lingerMs, idleMs } = this.#options
    const { signal } = this.#closing
    signal.throwIfAborted()
    const socket = await connector.connectForExchanges(member, { signal })
    const session = connect('https://peer', { ...SESSION_OPTIONS, createConnection: () => socket })
    const control: ControlSession = new ControlSession(session, socket, {
      peerName: member.name,
      lingerMs,
      idleMs,
      firstMs: idleMs,
      onIdle: (isIdle) => this.#onIdle(control, isIdle),
      onClosed: () => {
        this.#open.delete(control)
        this.#idle.delete(control)
        onClosed()
      },
    })
    this.#open.add(control)
    control.unref()
    return { session, control }
  }

  /** Lets the process end while only idle sessions are open. */
  #onIdle(control: ControlSession, isIdle: boolean): void {
    this.#idle.delete(control)
    if (!isIdle) {
      control.ref()
      return
    }
    control.unref()
    this.#idle.add(control)
    const [oldest] = this.#idle
    if (this.#idle.size > this.#options.maxIdle)
      oldest?.destroy(new Error('enough idle connections are open'))
  }

  #forget(key: string, session: MemberSession): void {
    if (this.#members.get(key) === session) this.#members.delete(key)
  }
}
