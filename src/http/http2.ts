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

export interface Http2Request {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: Socket
  /** To be called when the client has reset it before its answer began. */
  wasReset(): void
}

/** Speaks HTTP/2 on connections that someone else has accepted. */
export class Http2Speaker {
  readonly #limits: Limits
  readonly #reject: Reject
  readonly #onRequest: (request: Http2Request) => void
  readonly #server: Http2Server
  readonly #sessions = new Map<ServerHttp2Session, SessionGuard>()
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

  #follow(session: ServerHttp2Session, socket: Socket): void {
    const guard = new SessionGuard(socket, this.#limits, this.#reject)
    this.#sessions.set(session, guard)
    this.#look()
    session.on('error', ignore)
    session.once('close', () => this.#sessions.delete(session))
    // What is still under way on it may end.
    session.setTimeout(this.#limits.keepAliveMs, () => session.close())
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ): void => {
      stream.on('error', ignore)
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
      for (const guard of this.#sessions.values()) guard.look()
      if (this.#sessions.size > 0) this.#look()
    }, LOOK_MS).unref()
  }
}

// What goes wrong with a connection or a stream is told by `close`.
function ignore(): void {}
