import { onAbort } from '../../lib/async/abort.ts'
import { HEAD_BYTES } from './frames.ts'

/** Content in one frame: larger ones do not make a transfer faster, and smaller ones are fairer. */
export const PIECE_BYTES = 256 * 1024
/** One that is written, one that is next, one that is being filled. More would be copied together by the socket. */
const MOST_EACH = 3
/** Kept when nobody needs them. */
const KEPT = 4

/** Those who give to one member, which may not hold all the memory. */
interface Taker {
  seats: number
  held: number
}

interface Turn {
  readonly taker: Taker
  readonly begin: (piece: Uint8Array) => void
}

/**
 * The memory that all content goes through on its way to other members. While there are many transfers each may hold
 * less of it; one member, by however many transfers, no more than half, or than its share when there are more of them.
 * Who finds none waits, first come first served.
 */
export class Pieces {
  readonly #most: number
  readonly #free: Uint8Array[] = []
  readonly #waiting = new Set<Turn>()
  readonly #takers = new Map<string, Taker>()
  #made = 0
  #seats = 0

  constructor(totalBytes: number) {
    this.#most = Math.max(1, Math.floor(totalBytes / PIECE_BYTES))
  }

  /** Lent and not given back. */
  get lent(): number {
    return this.#made - this.#free.length
  }

  /** Free, and not given up. */
  get kept(): number {
    return this.#free.length
  }

  /** For a transfer to this member. */
  seat(member: string): Seat {
    const taker = this.#takers.get(member) ?? { seats: 0, held: 0 }
    this.#takers.set(member, taker)
    taker.seats += 1
    this.#seats += 1
    return new Seat({
      share: () => Math.max(1, Math.min(MOST_EACH, Math.floor(this.#most / this.#seats))),
      take: (options) => this.#take(taker, options),
      giveBack: (piece) => this.#giveBack(member, taker, piece),
      leave: () => {
        this.#seats -= 1
        taker.seats -= 1
        this.#forget(member, taker)
        this.#serve()
      },
    })
  }

  #take(taker: Taker, { signal }: { signal: AbortSignal }): Uint8Array | Promise<Uint8Array> {
    const piece = this.#mayHold(taker) ? this.#spare() : undefined
    if (piece !== undefined) {
      taker.held += 1
      return piece
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const begin = (given: Uint8Array): void => {
        stop()
        resolve(given)
      }
      const turn: Turn = { taker, begin }
      const stop = onAbort(signal, () => {
        this.#waiting.delete(turn)
        reject(signal.reason)
      })
      this.#waiting.add(turn)
    })
  }

  /** Also who is alone leaves something to whoever comes. */
  #mayHold({ held }: Taker): boolean {
    const takers = this.#takers.size
    const least = takers > 1 ? 1 : Math.min(MOST_EACH, this.#most - 1)
    return held < Math.max(1, least, Math.floor(this.#most / Math.max(2, takers)))
  }

  #spare(): Uint8Array | undefined {
    const free = this.#free.pop()
    if (free !== undefined || this.#made >= this.#most) return free
    this.#made += 1
    return Buffer.allocUnsafeSlow(HEAD_BYTES + PIECE_BYTES)
  }

  #giveBack(member: string, taker: Taker, piece: Uint8Array): void {
    taker.held -= 1
    this.#free.push(piece)
    this.#forget(member, taker)
    this.#serve()
    if (this.#seats > 0 || this.#free.length <= KEPT) return
    this.#free.pop()
    this.#made -= 1
  }

  #forget(member: string, { seats, held }: Taker): void {
    if (seats === 0 && held === 0) this.#takers.delete(member)
  }

  #serve(): void {
    for (const turn of this.#waiting) {
      if (!this.#mayHold(turn.taker)) continue
      const piece = this.#spare()
      if (piece === undefined) return
      this.#waiting.delete(turn)
      turn.taker.held += 1
      turn.begin(piece)
    }
  }
}

interface Lender {
  share(): number
  take(options: { signal: AbortSignal }): Uint8Array | Promise<Uint8Array>
  giveBack(piece: Uint8Array): void
  leave(): void
}

/** One transfer's right to memory. */
export class Seat {
  readonly #lender: Lender
  #held = 0
  #onBack: (() => void) | undefined

  constructor(lender: Lender) {
    this.#lender = lender
  }

  /** How many of its pieces are out. */
  get held(): number {
    return this.#held
  }

  get isFull(): boolean {
    return this.#held >= this.#lender.share()
  }

  /** Only when it is not full. */
  async take(options: { signal: AbortSignal }): Promise<Uint8Array> {
    this.#held += 1
    try {
      return await this.#lender.take(options)
    } catch (error) {
      this.#held -= 1
      throw error
    }
  }

  giveBack(piece: Uint8Array): void {
    this.#held -= 1
    this.#lender.giveBack(piece)
    const tell = this.#onBack
    this.#onBack = undefined
    tell?.()
  }

  /** Calls `tell` at the next piece that comes back, instead of whoever waited before. */
  onBack(tell: (() => void) | undefined): void {
    this.#onBack = tell
  }

  /** What is still out comes back later. */
  leave(): void {
    this.#onBack = undefined
    this.#lender.leave()
  }
}
