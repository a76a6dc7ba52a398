import { HEAD_BYTES } from './frames.ts'

/** Content in one frame: larger ones do not make a transfer faster, and smaller ones are fairer. */
export const PIECE_BYTES = 256 * 1024
/** One that is written, one that is next, one that is being filled. More would be copied together by the socket. */
const MOST_EACH = 3
/** Kept when nobody needs them. */
const KEPT = 4

/**
 * The memory that all content goes through on its way to other members. While there are many transfers each may hold
 * less of it; who finds none waits, first come first served.
 */
export class Pieces {
  readonly #most: number
  readonly #free: Uint8Array[] = []
  readonly #waiting = new Set<(piece: Uint8Array) => void>()
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

  seat(): Seat {
    this.#seats += 1
    return new Seat({
      share: () => Math.max(1, Math.min(MOST_EACH, Math.floor(this.#most / this.#seats))),
      take: (options) => this.#take(options),
      giveBack: (piece) => this.#giveBack(piece),
      leave: () => {
        this.#seats -= 1
      },
    })
  }

  #take({ signal }: { signal: AbortSignal }): Uint8Array | Promise<Uint8Array> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#made < this.#most) {
      this.#made += 1
      return Buffer.allocUnsafeSlow(HEAD_BYTES + PIECE_BYTES)
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const leave = (): void => {
        this.#waiting.delete(turn)
        reject(signal.reason)
      }
      const turn = (piece: Uint8Array): void => {
        signal.removeEventListener('abort', leave)
        resolve(piece)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.add(turn)
    })
  }

  #giveBack(piece: Uint8Array): void {
    for (const turn of this.#waiting) {
      this.#waiting.delete(turn)
      turn(piece)
      return
    }
    if (this.#seats === 0 && this.#free.length >= KEPT) this.#made -= 1
    else this.#free.push(piece)
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
