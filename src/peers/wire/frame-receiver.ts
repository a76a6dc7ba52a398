import { onAbort } from '../../lib/async/abort.ts'
import type { RateLimiter } from '../../lib/async/rate-limiter.ts'
import { DirectReader } from '../../lib/direct-reader.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import { BadFrame, type Frame, FrameReader } from './frames.ts'
import { parse, refusedBy, TakeAnswer } from './messages.ts'

/** Messages that nobody has asked for yet; beyond it the other side has to wait. */
const INBOX = 64
/** What they may have come to, before the last of them. */
const INBOX_BYTES = 64 * 1024

export interface InboundOptions {
  /** Who is heard, for people. */
  readonly who: string
  /** Of all downloads together. */
  readonly pace: RateLimiter
  /** After a pause: the socket may be read again. */
  readonly resume: () => void
  /** What came was not what may come, or cannot be taken: nothing more is to be heard. */
  readonly broke: (reason: unknown) => void
}

interface Kept {
  readonly message: unknown
  readonly length: number
}

interface Receiver {
  readonly resolve: (message: unknown) => void
  readonly reject: (reason: unknown) => void
}

interface Pouring {
  readonly intake: Intake
  readonly signal: AbortSignal
  /** Of what was to be poured. */
  left: number
  /** Of what the download cap allows now. */
  allowed: number
  readonly done: () => void
  readonly reject: (reason: unknown) => void
}

/**
 * The half of a connection that is heard. Messages are kept until somebody receives them; bytes of content are read by
 * the socket straight into the intake's memory: it asks for `room`, fills it and says how far.
 *
 * Room of the intake is only given out up to the end of a frame and of what the cap allows: see `DirectReader`.
 */
export class Inbound {
  readonly #options: InboundOptions
  readonly #frames = new FrameReader()
  readonly #reader = new DirectReader({
    isBlocked: () => this.isBlocked,
    room: () => this.#room(),
    filled: (length) => this.#poured(length),
    take: (bytes) => this.#step(bytes),
    overflowError: () => this.#complaint('more than it was asked for'),
  })
  readonly #inbox: Kept[] = []
  #inboxBytes = 0
  /** Of the frame of bytes that is at the front. */
  #bytesLeft = 0
  /** The intake is full, or the cap is reached. */
  #mustWait = false
  /** The other side has said the last of this exchange. */
  #isOver = false
  /** This side has: what still comes concerns nobody. */
  #isDeaf = false
  #onOver: (() => void) | undefined
  #receiver: Receiver | undefined
  #pouring: Pouring | undefined
  #broken: { readonly reason: unknown } | undefined
  #heard = false

  constructor(options: InboundOptions) {
    this.#options = options
  }

  /** Whether anything has come since the exchange began. */
  get heard(): boolean {
    return this.#heard
  }

  /** Nothing more is to be read for now. */
  get isBlocked(): boolean {
    return (
      this.#mustWait ||
      this.#inbox.length >= INBOX ||
      this.#inboxBytes >= INBOX_BYTES ||
      (this.#bytesLeft > 0 && this.#pouring === undefined) ||
      this.#broken !== undefined
    )
  }

  /** Neither in the middle of a content nor of waiting for one. */
  get isInStep(): boolean {
    return this.#bytesLeft === 0 && this.#pouring === undefined
  }

  /** A new exchange. */
  begin(): void {
    this.#isOver = false
    this.#isDeaf = false
    this.#heard = false
  }

  /** Listens no more but for the end, and tells it. */
  finish(onOver: () => void): void {
    this.#isDeaf = true
    this.#inbox.length = 0
    this.#inboxBytes = 0
    this.#onOver = onOver
    if (this.#isOver) this.#tellOver()
    else this.#goOn()
  }

  /** Memory for the next read. */
  room(): Uint8Array {
    return this.#reader.room()
  }

  /** So much of the last `room` was filled. */
  filled(length: number): void {
    this.#heard = true
    this.#attempt(() => this.#reader.filled(length))
  }

  /** Bytes in memory that will be used again. */
  hear(bytes: Buffer): void {
    this.#heard = true
    this.#attempt(() => this.#reader.receive(bytes))
  }

  /** One at a time. Undefined when the other side has said it all. What came before a break is still given. */
  receive({ signal, ms }: { signal: AbortSignal; ms: number }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#inbox.length > 0) {
        resolve(this.#oldest())
        this.#goOn()
        return
      }
      if (this.#isOver) return resolve(undefined)
      if (this.#bytesLeft > 0) this.#break(this.#complaint('content in place of a message'))
      if (this.#broken !== undefined) return reject(this.#broken.reason)
      const settle = (): void => {
        this.#receiver = undefined
        clearTimeout(timer)
        stop()
      }
      const fail = (reason: unknown): void => {
        settle()
        reject(reason)
      }
      const timer = setTimeout(() => fail(this.#complaint(`nothing within ${ms} ms`)), ms)
      const stop = onAbort(signal, () => fail(signal.reason))
      this.#receiver = {
        resolve: (message) => {
          settle()
          resolve(message)
        },
        reject: fail,
      }
    })
  }

  /** Puts exactly so many bytes into the intake. The signal is for the waiting on the cap; a break ends it, too. */
  pour(intake: Intake, length: number, { signal }: { signal: AbortSignal }): Promise<void> {
    return new Promise((done, reject) => {
      if (this.#inbox.length > 0) return reject(this.#insteadOfContent(this.#oldest()))
      if (this.#broken !== undefined) return reject(this.#broken.reason)
      if (length === 0) return done()
      if (this.#isOver) return reject(this.#tooShort(length))
      this.#pouring = { intake, signal, left: length, allowed: 0, done, reject }
      if (this.#bytesLeft > length) return this.#break(this.#complaint('more than it had said'))
      if (this.#allow(this.#pouring)) this.#goOn()
    })
  }

  /** Nothing more will come. */
  close(reason: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = { reason }
    this.#reader.dropHeld()
    this.#receiver?.reject(reason)
    this.#endPouring()?.reject(reason)
  }

  #oldest(): unknown {
    const kept = this.#inbox.shift()
    this.#inboxBytes -= kept?.length ?? 0
    return kept?.message
  }

  /** As much as belongs to the intake; of what stands between two pieces of content no more than the head of a frame. */
  #room(): Uint8Array | number {
    const pouring = this.#pouring
    if (pouring === undefined) return Number.POSITIVE_INFINITY
    if (this.#bytesLeft === 0) return this.#frames.missingHead || Number.POSITIVE_INFINITY
    try {
      const memory = pouring.intake.buffer()
      const most = Math.min(this.#bytesLeft, pouring.allowed)
      return memory.length <= most ? memory : memory.subarray(0, most)
    } catch (error) {
      this.#break(error)
      return Number.POSITIVE_INFINITY
    }
  }

  /** Gives how much it has used. */
  #step(bytes: Uint8Array): number {
    if (this.#isOver) throw this.#complaint('more after the end')
    if (this.#bytesLeft > 0) return this.#copy(bytes)
    const { used, frame } = this.#frames.take(bytes)
    if (frame !== undefined) this.#onFrame(frame)
    return used
  }

  #onFrame(frame: Frame): void {
    const pouring = this.#pouring
    if (frame.is === 'message') {
      if (this.#isDeaf) return
      if (pouring !== undefined) this.#endPouring()?.reject(this.#insteadOfContent(frame.message))
      else if (this.#receiver !== undefined) this.#receiver.resolve(frame.message)
      else {
        this.#inbox.push(frame)
        this.#inboxBytes += frame.length
      }
    } else if (frame.is === 'bytes') {
      if (this.#receiver !== undefined || this.#isDeaf) throw this.#complaint('content that nobody asked for')
      if (pouring !== undefined && frame.length > pouring.left) throw this.#complaint('more than it had said')
      this.#bytesLeft = frame.length
    } else {
      this.#isOver = true
      this.#receiver?.resolve(undefined)
      if (pouring !== undefined) this.#endPouring()?.reject(this.#tooShort(pouring.left))
      if (this.#isDeaf) this.#tellOver()
    }
  }

  /** Content that was read into memory of our own. */
  #copy(bytes: Uint8Array): number {
    const pouring = this.#pouring
    if (pouring === undefined) return 0
    const memory = pouring.intake.buffer()
    const length = Math.min(memory.length, bytes.length, this.#bytesLeft, pouring.allowed)
    memory.set(bytes.subarray(0, length))
    this.#poured(length)
    return length
  }

  #poured(length: number): void {
    const pouring = this.#pouring
    if (pouring === undefined) return
    this.#bytesLeft -= length
    pouring.left -= length
    pouring.allowed -= length
    const hasRoom = pouring.intake.filled(length)
    if (pouring.left === 0) this.#endPouring()?.done()
    else if (!hasRoom) this.#wait(pouring, pouring.intake.drained())
    else if (pouring.allowed === 0) this.#allow(pouring)
  }

  /** False: the cap has to be waited for. */
  #allow(pouring: Pouring): boolean {
    const { pace } = this.#options
    const most = Math.min(pouring.left, pace.quantumBytes)
    const turn = pace.take(most, { signal: pouring.signal })
    pouring.allowed = most
    if (turn !== undefined) this.#wait(pouring, turn)
    return turn === undefined
  }

  #wait(pouring: Pouring, until: Promise<void>): void {
    this.#mustWait = true
    until.then(
      () => {
        if (this.#pouring !== pouring) return
        this.#mustWait = false
        if (pouring.allowed > 0 || this.#allow(pouring)) this.#goOn()
      },
      (reason: unknown) => {
        if (this.#pouring === pouring) this.#break(reason)
      },
    )
  }

  #endPouring(): Pouring | undefined {
    const pouring = this.#pouring
    this.#pouring = undefined
    this.#mustWait = false
    return pouring
  }

  /** After a pause: first what was held, then the socket. */
  #goOn(): void {
    if (this.#reader.heldBytes > 0) {
      this.#heard = true
      this.#attempt(() => this.#reader.resume())
    }
    if (!this.isBlocked) this.#options.resume()
  }

  #tellOver(): void {
    const tell = this.#onOver
    this.#onOver = undefined
    tell?.()
  }

  #attempt(step: () => void): void {
    if (this.#broken !== undefined) return
    try {
      step()
    } catch (error) {
      this.#break(error instanceof BadFrame ? this.#complaint(error.message) : error)
    }
  }

  #break(reason: unknown): void {
    this.close(reason)
    this.#options.broke(reason)
  }

  #insteadOfContent(message: unknown): unknown {
    const { who } = this.#options
    try {
      const answer = parse(TakeAnswer, message, who)
      return answer.is === 'refused'
        ? refusedBy(who, answer)
        : this.#complaint('a message in place of content')
    } catch (error) {
      return error
    }
  }

  #tooShort(missing: number): Failure {
    return this.#complaint(`an end that is ${missing} bytes early`)
  }

  #complaint(what: string): Failure {
    const { who } = this.#options
    return new Failure('unavailable', `${who}: ${what}`, { source: who })
  }
}
