import type { Http2Session, Http2Stream, ServerOptions } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { pause } from '../../../lib/async/abort.ts'
import { NativeParts } from '../../../lib/http2/native-parts.ts'
import { SessionGuard } from '../../../lib/http2/session-guard.ts'
import { failureOfConnection, peerFailure, type RemotePeer } from '../connection/resources.ts'
import { type ExchangeSession, PeerExchange } from './exchange.ts'

/** The path of an exchange contains the version of the protocol: a member of another version gets no answer. */
export const exchangePath = (version: number): string => `/peer/v${version}/exchange`

/** How many exchanges one session carries at the same time. */
export const MAX_STREAMS = 256
/** How many bytes of an exchange may be on their way, or unread. */
const STREAM_WINDOW_BYTES = 64 * 1024
/** What a message needs besides its own bytes: the head of its frame, and its part of a TLS record. */
const MESSAGE_OVERHEAD_BYTES = 64
const CHECK_INTERVAL_MS = 1000

/** The options of both ends of a session. */
export const SESSION_OPTIONS = {
  settings: {
    maxConcurrentStreams: MAX_STREAMS,
    maxHeaderListSize: 4096,
    initialWindowSize: STREAM_WINDOW_BYTES,
    headerTableSize: 1024,
    enablePush: false,
  },
  maxDeflateDynamicTableSize: 1024,
  maxHeaderListPairs: 32,
  maxSessionInvalidFrames: 10,
  maxSessionRejectedStreams: 10,
  maxOutstandingPings: 4,
  /** In MB. */
  maxSessionMemory: 8,
} satisfies ServerOptions

/** All sessions of a process. */
const nativeParts = new NativeParts()

export interface ControlSessionOptions {
  readonly lingerMs: number
  readonly idleMs: number
  /** Called when the session has no exchange any more, and again when it has one. */
  readonly onIdle?: (isIdle: boolean) => void
  readonly onClosed: () => void
}

/** One HTTP/2 connection with another agent, at either end. It carries any number of exchanges, and ends when it is idle. */
export class ControlSession {
  readonly #session: Http2Session
  readonly #socket: TLSSocket
  readonly #options: ControlSessionOptions
  readonly #peerName: string
  readonly #guard: SessionGuard
  readonly #exchangeSession: ExchangeSession
  readonly #checkTimer: NodeJS.Timeout
  #idleTimer: NodeJS.Timeout | undefined
  #openExchanges = 0
  #closeReason: unknown

  /** `firstMs` bounds how long the session may be idle before its first exchange. */
  constructor(
    session: Http2Session,
    socket: TLSSocket,
    { peerName, firstMs, ...options }: ControlSessionOptions & { peerName: string; firstMs: number },
  ) {
    this.#session = session
    this.#socket = socket
    this.#options = options
    this.#session = session
    this.#socket = socket
    this.#peerName = peerName
    this.#options = options
    this.#guard = new SessionGuard(
      socket,
      { maxStreams: MAX_STREAMS, unreadBytes: () => this.#openExchanges * STREAM_WINDOW_BYTES },
      () => this.destroy(peerFailure(peerName, 'sent too many frames')),
    )
    this.#exchangeSession = {
      unsentBytes: 0,
      onReceived: (bytes) => this.#guard.onBodyBytes(bytes),
      onMessage: () => this.#guard.onBodyBytes(MESSAGE_OVERHEAD_BYTES),
      onReset: () => this.#guard.onStreamReset(),
      closeReason: () => this.closeReason,
      lingerMs: options.lingerMs,
    }
    nativeParts.keepFrom(session)
    // The streams are closed after these events, and give the reason to their exchanges.
    session.on('error', (error) => this.#setReason(failureOfConnection(peerName, error)))
    socket.on('error', (error) => this.#setReason(failureOfConnection(peerName, error)))
    socket.once('end', () => this.destroy(peerFailure(peerName, 'the connection ended')))
    session.once('close', () => {
      clearInterval(this.#checkTimer)
      clearTimeout(this.#idleTimer)
      options.onClosed()
    })
    this.#checkTimer = setInterval(() => this.#guard.checkTraffic(), CHECK_INTERVAL_MS).unref()
    this.#awaitExchange(firstMs)
  }

  /** New exchanges may begin. */
  get isUsable(): boolean {
    return !this.#session.closed && !this.#session.destroyed && this.#closeReason === undefined
  }

  get isIdle(): boolean {
    return this.#openExchanges === 0
  }

  /** How many bytes have come. */
  get receivedBytes(): number {
    return this.#socket.bytesRead
  }

  /** Why the session is closed; undefined while it is open. */
  get closeReason(): unknown {
    if (this.#session.destroyed) this.#setReason(peerFailure(this.#peerName, 'the connection was closed'))
    return this.#closeReason
  }

  /** Begins an exchange on a stream of the session. The session is closed when it has opened too many streams. */
  begin(stream: Http2Stream, peer: RemotePeer): PeerExchange {
    this.#openExchanges += 1
    clearTimeout(this.#idleTimer)
    if (this.#openExchanges === 1) this.#options.onIdle?.(false)
    stream.once('close', () => {
      this.#openExchanges -= 1
      if (this.#openExchanges > 0) return
      this.#options.onIdle?.(true)
      this.#awaitExchange(this.#options.idleMs)
    })
    this.#guard.onStreamOpened()
    return new PeerExchange(stream, peer, this.#exchangeSession)
  }

  /**
   * Resolves with false when nothing comes on the session for so long although the other side was asked for a sign of life,
   * and with true as soon as the signal is aborted.
   */
  async isAlive({ ms, signal }: { ms: number; signal: AbortSignal }): Promise<boolean> {
    const before = this.receivedBytes
    await pause(ms / 2, { signal, ref: false }).catch(() => {})
    if (signal.aborted || this.receivedBytes !== before) return true
    if (!this.#session.destroyed) this.#session.ping(() => {})
    await pause(ms / 2, { signal, ref: false }).catch(() => {})
    return signal.aborted || this.receivedBytes !== before
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  /** Lets the exchanges end, and begins no new ones. */
  close(): void {
    if (!this.#session.destroyed) this.#session.close()
  }

  destroy(reason: unknown): void {
    this.#setReason(reason)
    this.#session.destroy()
    this.#socket.destroy()
  }

  #awaitExchange(ms: number): void {
    if (this.#session.destroyed) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(
      () => this.destroy(new Error('the connection was idle for too long')),
      ms,
    ).unref()
  }

  #setReason(reason: unknown): void {
    this.#closeReason ??= reason
  }
}
