import { setMaxListeners } from 'node:events'
import { constants, type Http2Stream } from 'node:http2'
import { Failure } from '../../../ports/failure.ts'
import type { RemoteIdentity } from '../../identity/credentials.ts'
import { type KnownMember, peerFailure, type RemotePeer } from '../connection/resources.ts'
import { InvalidLine, MessageLines, messageLine } from './message-lines.ts'
import { MessageQueue } from './message-queue.ts'

/** Bounds the unsent messages of one exchange, and those of all exchanges of a session. A peer that reads so little has failed. */
const MAX_UNSENT_BYTES = 1024 * 1024
const MAX_UNSENT_SESSION_BYTES = 4 * 1024 * 1024

/** What the exchanges of one session share. */
export interface ExchangeSession {
  /** How many bytes of messages no stream of the session has sent yet. */
  unsentBytes: number
  /** Called for the bytes that have come in messages. */
  readonly onReceived: (bytes: number) => void
  /** Called for each message, before it is taken. */
  readonly onMessage: () => void
  /** Called when the peer has reset the stream of an exchange. */
  readonly onReset: () => void
  /** Why the session was closed, when it was. */
  readonly closeReason: () => unknown
  /** How long the peer may take to end an exchange that this node has ended. */
  readonly lingerMs: number
}

/**
 * One exchange with another agent: a request and everything that follows it, on an HTTP/2 stream of its own. Both sides may
 * send messages until they end the exchange, and each must end its own side.
 */
export class PeerExchange implements RemotePeer {
  readonly #stream: Http2Stream
  readonly #peer: RemotePeer
  readonly #session: ExchangeSession
  readonly #closed = new AbortController()
  readonly #lines = new MessageLines()
  readonly #messages = new MessageQueue()
  #hasReceived = false
  #isEnded = false
  #lingerTimer: NodeJS.Timeout | undefined

  constructor(stream: Http2Stream, peer: RemotePeer, session: ExchangeSession) {
    this.#stream = stream
    this.#peer = peer
    this.#session = session
    setMaxListeners(0, this.#closed.signal)
    stream.on('data', (bytes: Buffer) => this.#onData(bytes))
    // Node reports a reset as an end first, and as what it is later in the same turn.
    stream.once('end', () => setImmediate(() => this.#onEnd()))
    // `close` reports every failure of a stream.
    stream.on('error', () => {})
    stream.once('aborted', () => this.#onReset())
    stream.once('close', () => this.#onClose())
  }

  get member(): KnownMember | undefined {
    return this.#peer.member
  }

  get remoteIdentity(): RemoteIdentity {
    return this.#peer.remoteIdentity
  }

  get peerName(): string {
    return this.#peer.peerName
  }

  /** Whether any byte has come. */
  get hasReceived(): boolean {
    return this.#hasReceived
  }

  /** Is aborted when the exchange is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  failure(message: string): Failure {
    return peerFailure(this.peerName, message)
  }

  /** Throws a `Failure` when the message cannot be sent. */
  send(message: object): void {
    this.#assertNotEnded()
    this.closed.throwIfAborted()
    const line = messageLine(message)
    const session = this.#session
    const unsentBytes = this.#stream.writableLength + line.length
    if (unsentBytes > MAX_UNSENT_BYTES || session.unsentBytes + line.length > MAX_UNSENT_SESSION_BYTES) {
      const text = `${this.peerName}: does not read its messages`
      const failure = new Failure('stalled', text, { source: this.peerName })
      this.fail(failure)
      throw failure
    }
    session.unsentBytes += line.length
    this.#stream.write(line, () => {
      session.unsentBytes -= line.length
    })
  }

  /**
   * Gives the next message; undefined when the other side has ended the exchange. Rejects with a `Failure` when the
   * exchange is closed or `ms` have passed. May be called again after the latter.
   */
  async receive({ signal, ms }: { signal: AbortSignal; ms: number }): Promise<unknown> {
    this.#assertNotEnded()
    const lateFailure = (): Failure => this.failure(`sent nothing within ${ms} ms`)
    const message = await this.#messages.next({ signal, ms, lateFailure })
    if (!this.#messages.isFull && this.#stream.isPaused()) this.#stream.resume()
    return message
  }

  /** Ends this side of the exchange, and ignores what the other side still sends. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#stream.end()
    this.#stream.resume()
    if (this.#stream.destroyed) return
    this.#lingerTimer = setTimeout(() => this.#reset(), this.#session.lingerMs)
  }

  /** Resets the stream, which tells the other side that this one has given up. */
  destroy(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#reset()
  }

  /** Closes the exchange with this reason. */
  fail(reason: unknown): void {
    this.#messages.fail(reason)
    this.#closed.abort(reason)
    this.#reset()
  }

  #onData(bytes: Buffer): void {
    this.#hasReceived = true
    this.#session.onReceived(bytes.length)
    if (this.#isEnded) return
    try {
      for (const message of this.#lines.take(bytes)) {
        this.#session.onMessage()
        this.#messages.add(message)
      }
    } catch (error) {
      this.fail(error instanceof InvalidLine ? this.failure(error.message) : error)
      return
    }
    if (this.#messages.isFull) this.#stream.pause()
  }

  /** Also called when this side has reset the stream. */
  #onReset(): void {
    if (!this.#isEnded && !this.closed.aborted) this.#session.onReset()
    // Node keeps a stream that the other side has reset until everything is sent on it, which never happens.
    setImmediate(() => this.#stream.destroy())
  }

  #onEnd(): void {
    if (!this.#stream.aborted) this.#messages.end()
  }

  #onClose(): void {
    clearTimeout(this.#lingerTimer)
    const reason = this.#session.closeReason() ?? this.failure('the exchange was closed')
    this.#messages.fail(reason)
    this.#closed.abort(reason)
  }

  #reset(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
    // Node may send the reset only at the end of the current callback, and not when the stream is destroyed before.
    setImmediate(() => this.#stream.destroy())
  }

  #assertNotEnded(): void {
    if (this.#isEnded) throw this.failure('the exchange is over')
  }
}
