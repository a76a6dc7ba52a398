import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { PEER_PROTOCOL } from '../../identity/member.ts'
import type { RemotePeer } from '../connection/resources.ts'
import { ControlSession, exchangePath, SESSION_OPTIONS } from './control-session.ts'
import type { PeerExchange } from './exchange.ts'

/** A member needs one session. It opens another when the first one seems to be broken. */
const MAX_SESSIONS_PER_MEMBER = 8

export interface ControlServerOptions {
  readonly lingerMs: number
  readonly firstRequestMs: number
  readonly idleMs: number
  readonly onExchange: (exchange: PeerExchange) => void
}

/** Serves exchanges over HTTP/2 on connections that are authenticated already. */
export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #http2: Http2Server
  readonly #sessions = new Set<ControlSession>()
  readonly #sessionsOf = new Map<string, Set<ControlSession>>()
  #isDraining = false

  constructor(options: ControlServerOptions) {
    this.#options = options
    this.#http2 = createServer(SESSION_OPTIONS)
    // The sessions report their errors.
    this.#http2.on('sessionError', () => {})
  }

  /** `peer` says who the other end is, as membership knows it by then. */
  serve(socket: TLSSocket, peer: () => RemotePeer): void {
    const onSession = (session: ServerHttp2Session): void => this.#add(session, socket, peer)
    this.#http2.once('session', onSession)
    this.#http2.emit('connection', socket)
    this.#http2.off('session', onSession)
  }

  /** Lets exchanges under way end, and begins no new ones. */
  drain(): void {
    this.#isDraining = true
    for (const session of this.#sessions) session.close()
  }

  #add(session: ServerHttp2Session, socket: TLSSocket, peer: () => RemotePeer): void {
    const { lingerMs, firstRequestMs, idleMs } = this.#options
    const { peerName, remoteIdentity } = peer()
    const key = remoteIdentity.id ?? remoteIdentity.fingerprint
    const ofMember = this.#sessionsOf.get(key) ?? new Set()
    const control: ControlSession = new ControlSession(session, socket, {
      peerName,
      lingerMs,
      idleMs,
      firstMs: firstRequestMs,
      onClosed: () => {
        this.#sessions.delete(control)
        ofMember.delete(control)
        if (ofMember.size === 0) this.#sessionsOf.delete(key)
      },
    })
    this.#sessions.add(control)
    this.#sessionsOf.set(key, ofMember.add(control))
    if (ofMember.size > MAX_SESSIONS_PER_MEMBER) {
      // A session that carries exchanges is not closed for a new one.
      const oldest = [...ofMember].find(({ isIdle }) => isIdle)
      oldest?.destroy(new Error('the member has too many connections'))
    }
    session.on('stream', (stream, headers) => {
      const exchange = control.begin(stream, peer())
      const isExchange = headers[':method'] === 'POST' && headers[':path'] === exchangePath(PEER_PROTOCOL)
      this.#answer(stream, exchange, isExchange)
    })
  }

  #answer(stream: ServerHttp2Stream, exchange: PeerExchange, isExchange: boolean): void {
    if (stream.destroyed) return
    stream.respond({ ':status': isExchange ? 200 : 404 })
    if (isExchange && !this.#isDraining) this.#options.onExchange(exchange)
    else exchange.end()
  }
}
