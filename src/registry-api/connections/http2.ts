import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Client } from './client.ts'
import { FairShare, type Holder, type ShareLimits } from './fair-share.ts'
import type { Reject } from './rejections.ts'
import { SessionGuard } from './session-guard.ts'

/** How often each connection is looked at for what its client sends. */
const LOOK_MS = 250
/** A client that has taken nothing for so long makes room for another. */
const QUIET_MS = 1000
/** How long a connection that was said goodbye to may stay. */
const FAREWELL_MS = 5000

export interface Http2Request {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: Socket
  /** To be called when the client has reset it before its answer began. */
  wasReset(): void
}

interface Watched {
  readonly guard: SessionGuard
  readonly socket: Socket
  readonly client: Client
  /** Streams that are open. */
  open: number
  /** Bytes that its client had taken when it was looked at last. */
  sent: number
  /** When a stream ended, or its client was seen to have taken more. */
  movedAt: number
}

/** Bounds of HTTP/2 connections; `Limits` says what they are for. */
export interface Http2Limits {
  readonly sessions: ShareLimits
  readonly maxStreams: number
  readonly maxHeaderBytes: number
  readonly keepAliveMs: number
}

/** Speaks HTTP/2 on connections that someone else has accepted. */
export class Http2Speaker {
  readonly #limits: Http2Limits
  readonly #reject: Reject
  readonly #onRequest: (request: Http2Request) => void
  readonly #server: Http2Server
  readonly #share: FairShare
  readonly #sessions = new Map<ServerHttp2Session, Watched>()
  #looking: NodeJS.Timeout | undefined

  constructor(limits: Http2Limits, reject: Reject, onRequest: (request: Http2Request) => void) {
    this.#limits = limits
    this.#share = new FairShare(limits.sessions)
    this.#reject = reject
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

  get sessions(): number {
    return this.#sessions.size
  }

  speak(socket: Socket, client: Client): void {
    // Without ALPN Node would take it for HTTP/1.1, and begin no session.
    if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
      this.#reject('malformed')
      socket.destroy()
      return
    }
    const holder = { client, connection: socket }
    if (!this.#share.mayTake(holder)) {
      this.#reject('connections')
      this.#dropOne(holder)
    }
    if (!this.#share.mayTake(holder)) {
      socket.destroy()
      return
    }
    // A client that has closed its half takes no more answers either; without this the connection would stay for good.
    socket.allowHalfOpen = false
    socket.once('end', () => socket.destroy())
    const onSession = (session: ServerHttp2Session): void => this.#follow(session, socket, client)
    this.#server.once('session', onSession)
    this.#server.emit('connection', socket)
    this.#server.off('session', onSession)
  }

  /** GOAWAY: open streams end, no new ones begin. */
  drain(): void {
    for (const session of this.#sessions.keys()) session.close()
  }

  /** Of the address that has the most, one that is idle makes room, or else one whose client has taken nothing of late. */
  #dropOne(newcomer: Holder): void {
    const isGreedy = this.#share.isGreedy(newcomer)
    const isFull = this.#share.isFull
    let found: ServerHttp2Session | undefined
    let best: Watched | undefined
    for (const [session, watched] of this.#sessions) {
      const { client, open, movedAt } = watched
      if (open > 0 && performance.now() - movedAt < QUIET_MS) continue
      if (isGreedy ? client.address !== newcomer.client.address : client.isLocal && !isFull) continue
      if (best !== undefined && !this.#goesBefore(watched, best)) continue
      found = session
      best = watched
    }
    if (found === undefined || best === undefined) return
    this.#forget(found, best)
    best.socket.destroy()
  }

  #goesBefore(one: Watched, other: Watched): boolean {
    if ((one.open === 0) !== (other.open === 0)) return one.open === 0
    const [held, heldByOther] = [this.#share.heldBy(one.client), this.#share.heldBy(other.client)]
    if (held !== heldByOther) return held > heldByOther
    return one.movedAt < other.movedAt
  }

  #forget(session: ServerHttp2Session, { client, socket }: Watched): void {
    if (this.#sessions.delete(session)) this.#share.giveBack({ client, connection: socket })
  }

  #follow(session: ServerHttp2Session, socket: Socket, client: Client): void {
    const guard = new SessionGuard(socket, this.#limits, this.#reject)
    const now = performance.now()
    const watched: Watched = { guard, socket, client, open: 0, sent: 0, movedAt: now }
    this.#sessions.set(session, watched)
    this.#share.take({ client, connection: socket })
    this.#look()
    session.on('error', ignore)
    session.once('close', () => this.#forget(session, watched))
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ): void => {
      stream.on('error', ignore)
      watched.open += 1
      // Node keeps a stream that is reset without an error until all of its answer has been sent, which it never is.
      stream.once('aborted', () => stream.destroy())
      stream.once('end', () => {
        if (stream.closed) stream.destroy()
      })
      stream.once('close', () => {
        watched.open -= 1
        watched.movedAt = performance.now()
      })
      if (!guard.opened()) return
      const wasReset = (): void => guard.wasReset()
      if (stream.closed || stream.destroyed) wasReset()
      else this.#onRequest({ stream, headers, rawHeaders, socket, wasReset })
    }
    session.on('stream', onStream)
  }

  #look(): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined
      for (const [session, watched] of this.#sessions) {
        watched.guard.look()
        const { bytesWritten } = watched.socket
        if (bytesWritten !== watched.sent) watched.movedAt = performance.now()
        watched.sent = bytesWritten
        this.#endIdle(session, watched)
      }
      if (this.#sessions.size > 0) this.#look()
    }, LOOK_MS).unref()
  }

  #endIdle(session: ServerHttp2Session, { socket, open, movedAt }: Watched): void {
    const idleMs = performance.now() - movedAt
    if (open > 0 || idleMs < this.#limits.keepAliveMs) return
    if (!session.closed) session.close()
    else if (idleMs > this.#limits.keepAliveMs + FAREWELL_MS) socket.destroy()
  }
}

// What goes wrong with a connection or a stream is told by `close`.
function ignore(): void {}
