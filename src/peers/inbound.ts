import { onAbort } from '../lib/abort.ts'
import type { RateLimiter } from '../lib/rate-limiter.ts'
import { Failure } from '../resolve/failure.ts'
import type { Intake } from '../resolve/source.ts'
import { BadFrame, type Frame, FrameReader } from './frames.ts'
import { parse, refusedBy, TakeAnswer } from './messages.ts'

/** Messages that nobody has asked for yet; beyond it the other side has to wait. */
const INBOX = 64
/** What they may have come to, before the last of them. */
const INBOX_BYTES = 64 * 1024
/** More than one TLS read can hold back after a pause. */
const HELD_LIMIT = 1024 * 1024
const NOTHING = Buffer.alloc(0)
/** For all connections: what is read into it is looked at before anything else can be read. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

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
 * Room of the intake is only given out up to the end of a frame and of what the cap allows, since whatever is given out
 * may be filled to the brim; it is never empty, which the socket would take for the end of memory; and a TLS socket
 * hands over what it has decrypted even when it was told to pause, for which there is memory of our own.
 */
export class Inbound {
  readonly #options: InboundOptions
  readonly #frames = new FrameReader()
  readonly #inbox: Kept[] = []
  #inboxBytes = 0
  /** What came while it could not be dealt with. */
  #held: Buffer = NOTHING
  /** Of the frame of bytes that is at the front. */
  #bytesLeft = 0
  #isDirect = false
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
    this.#isDirect = false
    const pouring = this.#pouring
    if (pouring === undefined || this.isBlocked) return scratch
    if (this.#bytesLeft === 0) return scratch.subarray(0, this.#frames.missingHead || scratch.length)
    try {
      const memory = pouring.intake.buffer()
      const most = Math.min(this.#bytesLeft, pouring.allowed)
      this.#isDirect = true
      return memory.length <= most ? memory : memory.subarray(0, most)
    } catch (error) {
      this.#break(error)
      return scratch
    }
  }

  /** So much of the last `room` was filled. */
  filled(length: number): void {
    if (this.#isDirect) {
      this.#heard = true
      this.#attempt(() => this.#poured(length))
    } else this.hear(scratch.subarray(0, length))
  }

  /** Bytes in memory that will be used again. */
  hear(bytes: Uint8Array): void {
    this.#heard = true
    this.#attempt(() => {
      let rest = bytes
      if (this.#held.length > 0) {
        rest = Buffer.concat([this.#held, bytes])
        this.#held = NOTHING
      }
      while (rest.length > 0 && !this.isBlocked) rest = rest.subarray(this.#step(rest))
      // A copy: the memory is used again at once.
      this.#held = Buffer.from(rest)
      if (rest.length > HELD_LIMIT) throw this.#complaint('more than it was asked for')
    })
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
    this.#held = NOTHING
    this.#receiver?.reject(reason)
    this.#endPouring()?.reject(reason)
  }

  #oldest(): unknown {
    const kept = this.#inbox.shift()
    this.#inboxBytes -= kept?.length ?? 0
    return kept?.message
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
    const most = Math.min(pouring.left, pace.quantum)
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
    if (this.#held.length > 0) this.hear(NOTHING)
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
