import {
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Limits } from './limits.ts'

/** Speaks HTTP/2 on connections that someone else has accepted. */
export class Http2Speaker {
  readonly #server: Http2Server
  readonly #sessions = new Set<ServerHttp2Session>()

  constructor(
    limits: Limits,
    onRequest: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  ) {
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: limits.maxStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false,
      },
      // Against floods of frames that cost the sender nothing.
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      maxOutstandingPings: 10,
    })
    this.#server.on('request', onRequest)
    this.#server.on('sessionError', () => {})
    this.#server.on('session', (session) => {
      this.#sessions.add(session)
      session.on('close', () => this.#sessions.delete(session))
      session.on('error', () => {})
      // What is still under way on it may end.
      session.setTimeout(limits.keepAliveMs, () => session.close())
    })
  }

  speak(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  /** GOAWAY: open streams end, no new ones begin. */
  drain(): void {
    for (const session of this.#sessions) session.close()
  }
}
