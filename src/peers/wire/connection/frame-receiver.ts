import type { RateLimiter } from '../../../lib/async/rate-limiter.ts'
import { DirectReader } from '../../../lib/direct-reader.ts'
import { type PacedReading, ReadPacing } from '../../../lib/read-pacing.ts'
import { Failure } from '../../../ports/failure.ts'
import type { Intake } from '../../../ports/source.ts'
import { type Frame, FrameReader, InvalidFrame } from '../protocol/frames.ts'
import { failureOfRefused, parseMessage, TakeAnswer } from '../protocol/messages.ts'
import { ContentFrames } from './content-frames.ts'
import { ContentReceive } from './content-receive.ts'
import { ExchangeEnd } from './exchange-end.ts'
import { MessageQueue } from './message-queue.ts'

/** The last bytes of a content are read as they come. */
const NEAR_END_BYTES = 256 * 1024

export interface FrameReceiverOptions {
  /** Users see this name. */
  readonly peerName: string
  /** Limits all downloads of this node together. */
  readonly limiter: RateLimiter
  /** Pauses and resumes the reading of the socket. */
  readonly reading: PacedReading
  /** Called when the peer has sent what the protocol does not allow, or an intake has failed. Nothing is received then. */
  readonly onBroken: (reason: unknown) => void
}

/**
 * The receiving half of a connection. It queues messages until they are received. Bytes of content are read by the socket
 * straight into the intake's memory: the socket asks for a `buffer` and says how much of it is `filled`.
 *
 * A `buffer` of the intake ends where the frame ends, and where the limiter's grant ends: see `DirectReader`.
 */
export class FrameReceiver {
  readonly #options: FrameReceiverOptions
  readonly #frames = new FrameReader()
  readonly #messages = new MessageQueue()
  readonly #reader = new DirectReader({
    isBlocked: () => this.isBlocked,
    room: () => this.#buffer(),
    filled: (length) => this.#content.filled(length),
    take: (bytes) => this.#take(bytes),
    overflowError: () => this.#failure('sent more than was asked for'),
  })
  readonly #content = new ContentFrames()
  readonly #pacing: ReadPacing
  readonly #end = new ExchangeEnd()
  #broken: { readonly reason: unknown } | undefined
  #hasReceived = false

  constructor(options: FrameReceiverOptions) {
    this.#options = options
    this.#pacing = new ReadPacing({ pause: options.reading.pause, resume: () => this.#continue() })
  }

  /** Whether any byte has come since the exchange began. */
  get hasReceived(): boolean {
    return this.#hasReceived
  }

  /** The socket must not be read for now. */
  get isBlocked(): boolean {
    return this.#content.isBlocked || this.#messages.isFull || this.#broken !== undefined
  }

  /** Content is on its way, or `receiveContent` waits for some. */
  get isReceivingContent(): boolean {
    return this.#content.isUnderWay
  }

  beginExchange(): void {
    this.#end.reset()
    this.#hasReceived = false
  }

  /** Ignores everything but the peer's end of the exchange, and calls `onEnded` when that has come. */
  endExchange(onEnded: () => void): void {
    this.#messages.clear()
    const isOver = this.#end.isEndedByPeer
    this.#end.endByThisSide(onEnded)
    if (!isOver) this.#continue()
  }

  /** Gives memory for the next read of the socket. */
  buffer(): Uint8Array {
    return this.#reader.room()
  }

  /** Says that `length` bytes of the last `buffer` were filled. */
  filled(length: number): void {
    this.#hasReceived = true
    this.#closingOnError(() => this.#reader.filled(length))
    if ((this.#content.receive?.missingBytes ?? 0) > NEAR_END_BYTES) this.#pacing.onRead(length)
  }

  /** Takes bytes in memory that will be used again. */
  receiveBytes(bytes: Buffer): void {
    this.#hasReceived = true
    this.#closingOnError(() => this.#reader.receive(bytes))
  }

  /**
   * Gives the next message; undefined when the other side has ended the exchange. May be called by one caller at a time.
   * Messages that came before the connection was closed are still given.
   */
  async receiveMessage({ signal, ms }: { signal: AbortSignal; ms: number }): Promise<unknown> {
    signal.throwIfAborted()
    if (!this.#messages.isEmpty) {
      const message = this.#messages.shift()
      this.#continue()
      return message
    }
    if (this.#end.isEndedByPeer) return undefined
    if (this.#content.frameBytesLeft > 0) this.#break(this.#failure('sent content in place of a message'))
    if (this.#broken !== undefined) throw this.#broken.reason
    const lateFailure = () => this.#failure(`sent nothing within ${ms} ms`)
    return this.#messages.next({ signal, ms, lateFailure })
  }

  /** Puts exactly `length` bytes into the intake. The signal ends the waiting for the limiter, as does a closed connection. */
  async receiveContent(intake: Intake, length: number, { signal }: { signal: AbortSignal }): Promise<void> {
    if (!this.#messages.isEmpty) throw this.#failureOfMessage(this.#messages.shift())
    if (this.#broken !== undefined) throw this.#broken.reason
    if (length === 0) return
    if (this.#end.isEndedByPeer) throw this.#endedEarly(length)
    const receive = new ContentReceive({
      intake,
      length,
      limiter: this.#options.limiter,
      signal,
      onResume: () => this.#continue(),
      onFailure: (reason) => this.#break(reason),
    })
    this.#content.beginReceive(receive)
    this.#pacing.begin()
    if (this.#content.frameBytesLeft > length) this.#break(this.#failure('sent more than it had announced'))
    else if (receive.start()) this.#continue()
    return receive.done
  }

  close(reason: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = { reason }
    this.#pacing.stop()
    this.#reader.dropUnread()
    this.#messages.fail(reason)
    this.#content.fail(reason)
  }

  /** Between two content frames no more than the next head may be read into the reader's own memory. */
  #buffer(): Uint8Array | number {
    const { receive, frameBytesLeft } = this.#content
    if (receive === undefined) return Number.POSITIVE_INFINITY
    if (frameBytesLeft === 0) return this.#frames.missingHeadBytes || Number.POSITIVE_INFINITY
    try {
      return this.#content.buffer(receive)
    } catch (error) {
      this.#break(error)
      return Number.POSITIVE_INFINITY
    }
  }

  /** Gives how many of the bytes it has used. */
  #take(bytes: Uint8Array): number {
    if (this.#end.isEndedByPeer) throw this.#failure('sent more after the end of the exchange')
    if (this.#content.frameBytesLeft > 0) return this.#content.copy(bytes)
    const { used, frame } = this.#frames.take(bytes)
    if (frame !== undefined) this.#onFrame(frame)
    return used
  }

  #onFrame(frame: Frame): void {
    switch (frame.kind) {
      case 'message':
        if (this.#end.isEndedByThisSide) return
        if (this.#content.receive === undefined) this.#messages.add(frame)
        else this.#content.fail(this.#failureOfMessage(frame.message))
        return
      case 'content':
        if (this.#messages.isAwaited || this.#end.isEndedByThisSide) {
          throw this.#failure('sent content that this node has not asked for')
        }
        if (frame.length > (this.#content.receive?.missingBytes ?? frame.length)) {
          throw this.#failure('sent more than it had announced')
        }
        this.#content.beginFrame(frame.length)
        return
      case 'end':
        this.#messages.end()
        this.#content.fail(this.#endedEarly(this.#content.receive?.missingBytes ?? 0))
        // The connection may carry its next exchange at once, so this step is the last one.
        this.#end.endByPeer()
    }
  }

  /** After a pause the reader takes its unread bytes first, and then those of the socket. */
  #continue(): void {
    if (this.#reader.unreadBytes > 0) {
      this.#hasReceived = true
      this.#closingOnError(() => this.#reader.resume())
    }
    if (!this.isBlocked) this.#options.reading.resume()
  }

  #closingOnError(step: () => void): void {
    if (this.#broken !== undefined) return
    try {
      step()
    } catch (error) {
      this.#break(error instanceof InvalidFrame ? this.#failure(error.message) : error)
    }
  }

  #break(reason: unknown): void {
    this.close(reason)
    this.#options.onBroken(reason)
  }

  /** A message in place of content is `refused`, or a violation of the protocol. */
  #failureOfMessage(message: unknown): unknown {
    const { peerName } = this.#options
    try {
      const answer = parseMessage(TakeAnswer, message, peerName)
      return answer.is === 'refused'
        ? failureOfRefused(peerName, answer)
        : this.#failure('sent a message in place of content')
    } catch (error) {
      return error
    }
  }

  #endedEarly(missingBytes: number): Failure {
    return this.#failure(`ended the exchange ${missingBytes} bytes early`)
  }

  #failure(message: string): Failure {
    const { peerName } = this.#options
    return new Failure('unavailable', `${peerName}: ${message}`, { source: peerName })
  }
}
