import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Limits } from './limits.ts'
import type { Reject } from './rejections.ts'
import { SessionGuard } from './session-guard.ts'

/** How often each connection is looked at for what its client sends. */
const LOOK_MS = 250
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
  /** Streams that are open. */
  open: number
  /** When its last stream ended, or it began. */
  idleSince: number
}

/** Speaks HTTP/2 on connections that someone else has accepted. */
export class Http2Speaker {
  readonly #limits: Limits
  readonly #reject: Reject
  readonly #onRequest: (request: Http2Request) => void
  readonly #server: Http2Server
  readonly #sessions = new Map<ServerHttp2Session, Watched>()
  #looking: NodeJS.Timeout | undefined

  constructor(limits: Limits, reject: Reject, onRequest: (request: Http2Request) => void) {
    this.#limits = limits
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

  speak(socket: Socket): void {
    if (this.#sessions.size >= this.#limits.maxSessions && !this.#dropIdle()) {
      socket.destroy()
      return
    }
    // A client that has closed its half takes no more answers either; without this the connection would stay for good.
    socket.allowHalfOpen = false
    socket.once('end', () => socket.destroy())
    this.#server.once('session', (session) => this.#follow(session, socket))
    this.#server.emit('connection', socket)
  }

  /** GOAWAY: open streams end, no new ones begin. */
  drain(): void {
    for (const session of this.#sessions.keys()) session.close()
  }

  /** The one that has been idle for longest makes room. False when none is idle. */
  #dropIdle(): boolean {
    this.#reject('connections')
    for (const [session, { socket, open }] of this.#sessions) {
      if (open > 0) continue
      this.#sessions.delete(session)
      socket.destroy()
      return true
    }
    return false
  }

  #follow(session: ServerHttp2Session, socket: Socket): void {
    const guard = new SessionGuard(socket, this.#limits, this.#reject)
    const watched: Watched = { guard, socket, open: 0, idleSince: performance.now() }
    this.#sessions.set(session, watched)
    this.#look()
    session.on('error', ignore)
    session.once('close', () => this.#sessions.delete(session))
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ): void => {
      stream.on('error', ignore)
      watched.open += 1
      stream.once('close', () => {
        watched.open -= 1
        watched.idleSince = performance.now()
        // The one that was used last is the last in the map.
        if (this.#sessions.delete(session)) this.#sessions.set(session, watched)
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
        this.#endIdle(session, watched)
      }
      if (this.#sessions.size > 0) this.#look()
    }, LOOK_MS).unref()
  }

  #endIdle(session: ServerHttp2Session, { socket, open, idleSince }: Watched): void {
    const idleMs = performance.now() - idleSince
    if (open > 0 || idleMs < this.#limits.keepAliveMs) return
    if (!session.closed) session.close()
    else if (idleMs > this.#limits.keepAliveMs + FAREWELL_MS) socket.destroy()
  }
}

// What goes wrong with a connection or a stream is told by `close`.
function ignore(): void {}
