import { setMaxListeners } from 'node:events'
import { onAbort } from '../../lib/async/abort.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import type { RemoteIdentity } from '../identity/credentials.ts'
import type { KnownMember, PeerConnection } from './connection/connection.ts'
import { PeerStalled, uploadContent } from './connection/upload.ts'
import { endFrame, messageFrame } from './protocol/frames.ts'
import { refusedMessage } from './protocol/messages.ts'

/**
 * One exchange with another agent: a request and everything that follows it, on a connection that carries nothing else
 * meanwhile. Both sides have one, and each must end its own.
 */
export class PeerExchange {
  readonly #connection: PeerConnection
  readonly #onReusable: () => void
  readonly #closed = new AbortController()
  readonly #removeCloseListener: () => void
  #isSending = false
  #isEnded = false

  /** `onReusable` is called when both sides have ended the exchange, and the connection can carry the next one. */
  constructor(connection: PeerConnection, onReusable: () => void) {
    this.#connection = connection
    this.#onReusable = onReusable
    setMaxListeners(0, this.#closed.signal)
    connection.receiver.beginExchange()
    if (connection.isOpen) {
      this.#removeCloseListener = connection.onClose((reason) => this.#closed.abort(reason))
    } else {
      this.#removeCloseListener = () => {}
      this.#closed.abort(connection.closeReason)
    }
  }

  /** The member at the other side; undefined while membership does not know it. */
  get member(): KnownMember | undefined {
    return this.#connection.member
  }

  /** The identity of the other side from its certificate, which it cannot forge. */
  get remoteIdentity(): RemoteIdentity {
    return this.#connection.remoteIdentity
  }

  /** The name of the other side that users see. */
  get peerName(): string {
    return this.#connection.peerName
  }

  /** Is aborted when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** Throws a `Failure` when the message cannot be sent. */
  send(message: object): void {
    this.#assertNotEnded()
    this.#connection.sendFrame(messageFrame(message))
  }

  /**
   * Gives the next message; undefined when the other side has ended the exchange. Rejects with a `Failure` when the
   * connection is closed or `ms` have passed. May be called again after the latter.
   */
  async receive(options: { signal: AbortSignal; ms: number }): Promise<unknown> {
    this.#assertNotEnded()
    return this.#connection.receiver.receiveMessage(options)
  }

  /**
   * Sends `content` from the offset `from` to its end as it becomes readable, within the upload limit. When the content
   * fails, the other side gets a `refused` message with the reason, and the connection can still be used again.
   */
  async sendContent(content: Content, from: number, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#assertNotEnded()
    const { peerName, remoteIdentity, resources } = this.#connection
    const { sendBuffers, uploadLimiter, stallMs } = resources
    this.#isSending = true
    try {
      await this.#closingOnAbort(signal, () =>
        uploadContent(content, from, {
          peerName,
          receiverKey: remoteIdentity.id ?? remoteIdentity.fingerprint,
          sendBuffers,
          limiter: uploadLimiter,
          stallMs,
          signal: this.closed,
          write: (bytes, done) => this.#connection.sendContent(bytes, done),
        }),
      )
      this.#isSending = false
    } catch (error) {
      if (error instanceof PeerStalled) this.#connection.close(error.failure)
      this.closed.throwIfAborted()
      this.#connection.sendFrame(messageFrame(refusedMessage(error)))
      this.#isSending = false
      throw error
    }
  }

  /** Puts the next `length` bytes of content into the intake, within the download limit. */
  async receiveContent(intake: Intake, length: number, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#assertNotEnded()
    await this.#closingOnAbort(signal, () =>
      this.#connection.receiver.receiveContent(intake, length, { signal: this.closed }),
    )
  }

  /** Ends the exchange. Closes the connection when content is still on its way. */
  end(): void {
    if (this.#isEnded) return
    const connection = this.#connection
    if (this.#isSending || connection.receiver.isReceivingContent) {
      this.destroy()
      return
    }
    this.#isEnded = true
    try {
      connection.sendFrame(endFrame())
    } catch {
      return
    }
    const timer = setTimeout(
      () => connection.close(connection.failure('did not end the exchange in time')),
      connection.resources.lingerMs,
    )
    const removeListener = connection.onClose(() => clearTimeout(timer))
    connection.receiver.endExchange(() => {
      clearTimeout(timer)
      removeListener()
      this.#removeCloseListener()
      this.#onReusable()
    })
  }

  /** Closes the connection, which tells the other side that this one has given up. */
  destroy(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#connection.close(this.#connection.failure('the exchange was abandoned'))
  }

  /** A content cannot be cancelled in the middle, so an abort closes the connection. */
  async #closingOnAbort(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    signal.throwIfAborted()
    const stop = onAbort(signal, () => this.#connection.close(signal.reason))
    try {
      await work()
    } finally {
      stop()
    }
  }

  #assertNotEnded(): void {
    if (this.#isEnded) throw new Failure('unavailable', `${this.peerName}: the exchange is over`)
  }
}
