import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { NativeParts } from '../../../lib/http2/native-parts.ts'
import { SessionGuard } from '../../../lib/http2/session-guard.ts'
import type { Client } from '../client.ts'
import { FairShare, type ShareLimits, type ShareUser } from '../fair-share.ts'
import type { ReportRejection } from '../rejections.ts'

/** How often the traffic of every session is checked. */
const CHECK_INTERVAL_MS = 250
/** A session whose client has taken nothing for so long may be closed for another. */
const INACTIVE_MS = 1000
/** How long a session may stay open after GOAWAY. */
const GOAWAY_GRACE_MS = 5000

export interface Http2Request {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: Socket
  /** To be called when the client has reset the stream before its answer began. */
  onReset(): void
  /** To be called with the number of bytes of a request body that have come. */
  onBodyBytes(bytes: number): void
}

interface SessionState {
  readonly guard: SessionGuard
  readonly socket: Socket
  readonly client: Client
  openStreams: number
  /** `bytesWritten` of the socket at the last check. */
  bytesWritten: number
  /** When a stream ended, or a check found that the client had taken more. */
  progressAt: number
}

/** Limits of HTTP/2 sessions; `Limits` explains them. */
export interface Http2Limits {
  readonly sessions: ShareLimits
  readonly maxStreams: number
  readonly maxHeaderBytes: number
  readonly keepAliveMs: number
}

/** Serves HTTP/2 on accepted connections, and limits how many sessions there are. */
export class Http2Sessions {
  readonly #limits: Http2Limits
  readonly #reportRejection: ReportRejection
  readonly #onRequest: (request: Http2Request) => void
  readonly #server: Http2Server
  readonly #share: FairShare
  readonly #sessions = new Map<ServerHttp2Session, SessionState>()
  readonly #nativeParts = new NativeParts()
  #checkTimer: NodeJS.Timeout | undefined

  constructor(
    limits: Http2Limits,
    reportRejection: ReportRejection,
    onRequest: (request: Http2Request) => void,
  ) {
    this.#limits = limits
    this.#share = new FairShare(limits.sessions)
    this.#reportRejection = reportRejection
    this.#onRequest = onRequest
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: limits.maxStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false,
      },
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      maxOutstandingPings: 10,
    })
    this.#server.on('sessionError', ignore)
  }

  get size(): number {
    return this.#sessions.size
  }

  serve(socket: Socket, client: Client): void {
    // Without ALPN `h2` Node would serve a TLS socket as HTTP/1.1 and start no session.
    if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
      this.#reportRejection('malformed')
      socket.destroy()
      return
    }
    const user = { client, connection: socket }
    if (!this.#share.mayTake(user)) {
      this.#reportRejection('connections')
      this.#closeOne(user)
    }
    if (!this.#share.mayTake(user)) {
      socket.destroy()
      return
    }
    // A client that has closed its sending side reads no more answers; half open, the connection would never close.
    socket.allowHalfOpen = false
    socket.once('end', () => socket.destroy())
    const onSession = (session: ServerHttp2Session): void => this.#add(session, socket, client)
    this.#server.once('session', onSession)
    this.#server.emit('connection', socket)
    this.#server.off('session', onSession)
  }

  /** Sends GOAWAY: open streams end, and no new ones begin. */
  drain(): void {
    for (const session of this.#sessions.keys()) session.close()
  }

  /** Closes an idle session of the address with the most sessions, or else one whose client has taken nothing lately. */
  #closeOne(newcomer: ShareUser): void {
    const isAtAddressLimit = this.#share.isAtAddressLimit(newcomer)
    const isFull = this.#share.isFull
    let chosen: ServerHttp2Session | undefined
    let chosenState: SessionState | undefined
    for (const [session, state] of this.#sessions) {
      const { client, openStreams, progressAt } = state
      if (openStreams > 0 && performance.now() - progressAt < INACTIVE_MS) continue
      if (isAtAddressLimit ? client.address !== newcomer.client.address : client.isLocal && !isFull) continue
      if (chosenState !== undefined && !this.#isClosedBefore(state, chosenState)) continue
      chosen = session
      chosenState = state
    }
    if (chosen === undefined || chosenState === undefined) return
    this.#remove(chosen, chosenState)
    chosenState.socket.destroy()
  }

  #isClosedBefore(one: SessionState, other: SessionState): boolean {
    if ((one.openStreams === 0) !== (other.openStreams === 0)) return one.openStreams === 0
    const [taken, takenByOther] = [this.#share.takenBy(one.client), this.#share.takenBy(other.client)]
    if (taken !== takenByOther) return taken > takenByOther
    return one.progressAt < other.progressAt
  }

  #remove(session: ServerHttp2Session, { client, socket }: SessionState): void {
    if (this.#sessions.delete(session)) this.#share.release({ client, connection: socket })
  }

  #add(session: ServerHttp2Session, socket: Socket, client: Client): void {
    const guard = new SessionGuard(socket, this.#limits, this.#reportRejection)
    const now = performance.now()
    const state: SessionState = { guard, socket, client, openStreams: 0, bytesWritten: 0, progressAt: now }
    this.#sessions.set(session, state)
    this.#share.take({ client, connection: socket })
    this.#scheduleCheck()
    session.on('error', ignore)
    session.once('close', () => this.#remove(session, state))
    this.#nativeParts.keepFrom(session)
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ): void => {
      stream.on('error', ignore)
      state.openStreams += 1
      // Node keeps a stream that the client reset with NO_ERROR until its answer is sent, which never happens.
      stream.once('aborted', () => stream.destroy())
      stream.once('end', () => {
        if (stream.closed) stream.destroy()
      })
      stream.once('close', () => {
        state.openStreams -= 1
        state.progressAt = performance.now()
      })
      if (!guard.onStreamOpened()) return
      const onReset = (): void => guard.onStreamReset()
      const onBodyBytes = (bytes: number): void => guard.onBodyBytes(bytes)
      if (stream.closed || stream.destroyed) onReset()
      else this.#onRequest({ stream, headers, rawHeaders, socket, onReset, onBodyBytes })
    }
    session.on('stream', onStream)
  }

  #scheduleCheck(): void {
    this.#checkTimer ??= setTimeout(() => {
      this.#checkTimer = undefined
      for (const [session, state] of this.#sessions) {
        state.guard.checkTraffic()
        const { bytesWritten } = state.socket
        if (bytesWritten !== state.bytesWritten) state.progressAt = performance.now()
        state.bytesWritten = bytesWritten
        this.#closeIfIdle(session, state)
      }
      if (this.#sessions.size > 0) this.#scheduleCheck()
    }, CHECK_INTERVAL_MS).unref()
  }

  #closeIfIdle(session: ServerHttp2Session, { socket, openStreams, progressAt }: SessionState): void {
    const idleMs = performance.now() - progressAt
    if (openStreams > 0 || idleMs < this.#limits.keepAliveMs) return
    if (!session.closed) session.close()
    else if (idleMs > this.#limits.keepAliveMs + GOAWAY_GRACE_MS) socket.destroy()
  }
}

// The `close` event of a session or stream reports every failure.
function ignore(): void {}
