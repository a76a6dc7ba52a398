const SLAB = 1024 * 1024
const SIZES = [SLAB, 256 * 1024, 64 * 1024] as const
const SPARE = 16 * 1024
const SPARE_SHARE = 1 / 4
const MOST_AT_ONCE = 3

/** Memory lent for one read and the write after it. */
export interface Piece {
  readonly bytes: Uint8Array
  /** Exactly once, when nobody will look at `bytes` any more. */
  release(): void
}

/**
 * The memory that all bodies together go through. Most of it is shared, in big pieces while few responses are under
 * way and in small ones when there are many. The rest is cut into spares, one for every seat: clients that stall may
 * hold all that is shared, and whoever has a seat still moves on. Who finds no seat waits for one, first come first
 * served.
 */
export class BodyBuffers {
  readonly #maxSlabs: number
  readonly #maxSeats: number
  readonly #slabs: Slab[] = []
  readonly #spares: Uint8Array[] = []
  readonly #waiting: (() => void)[] = []
  #seated = 0

  constructor(totalBytes: number) {
    this.#maxSeats = Math.max(1, Math.floor((totalBytes * SPARE_SHARE) / SPARE))
    this.#maxSlabs = Math.floor((totalBytes * (1 - SPARE_SHARE)) / SLAB)
  }

  /** How many responses hold memory or may. */
  get seated(): number {
    return this.#seated
  }

  async seat({ signal }: { signal: AbortSignal }): Promise<Seat> {
    if (this.#seated < this.#maxSeats) this.#seated += 1
    else await this.#turn(signal)
    const lender = {
      shared: (most: number) => this.#takeShared(most),
      spare: () => this.#spares.pop() ?? Buffer.allocUnsafeSlow(SPARE),
      left: (spare: Uint8Array | undefined) => this.#leave(spare),
    }
    return new Seat(lender)
  }

  /** The seat of whoever leaves is handed over, not freed: nobody can come in between. */
  #leave(spare: Uint8Array | undefined): void {
    if (spare !== undefined) this.#spares.push(spare)
    const next = this.#waiting.shift()
    if (next === undefined) this.#seated -= 1
    else next()
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const turn = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(turn)
    })
  }

  #takeShared(most: number): Piece | undefined {
    const fair = (this.#maxSlabs * SLAB) / (MOST_AT_ONCE * this.#seated)
    const wanted = SIZES.find((size) => size <= fair && size < 2 * most) ?? SIZES[2]
    const slab = this.#slabFor(wanted)
    return slab?.lend()
  }

  #slabFor(size: number): Slab | undefined {
    const cut = this.#slabs.find((slab) => slab.pieceSize === size && slab.hasFree)
    if (cut !== undefined) return cut
    const unused = this.#slabs.find((slab) => slab.unused)
    if (unused !== undefined) return unused.cut(size)
    if (this.#slabs.length < this.#maxSlabs) {
      const fresh = new Slab().cut(size)
      this.#slabs.push(fresh)
      return fresh
    }
    return this.#slabs.find((slab) => slab.hasFree)
  }
}

interface Lender {
  shared(most: number): Piece | undefined
  spare(): Uint8Array
  left(spare: Uint8Array | undefined): void
}

/** One response's right to memory. */
export class Seat {
  readonly #lender: Lender
  #held = 0
  #spare: Uint8Array | undefined
  #spareIsOut = false
  #leaving = false

  constructor(lender: Lender) {
    this.#lender = lender
  }

  /** Undefined: this response holds all it may; it gets more when it has released a piece. */
  take(most: number): Piece | undefined {
    if (this.#held === MOST_AT_ONCE) return undefined
    const shared = this.#lender.shared(most)
    if (shared !== undefined) return this.#lent(shared.bytes, () => shared.release())
    if (this.#spareIsOut) return undefined
    this.#spare ??= this.#lender.spare()
    this.#spareIsOut = true
    return this.#lent(this.#spare, () => {
      this.#spareIsOut = false
    })
  }

  /** Given back for others once the last piece is. */
  leave(): void {
    this.#leaving = true
    if (this.#held === 0) this.#lender.left(this.#spare)
  }

  #lent(bytes: Uint8Array, giveBack: () => void): Piece {
    this.#held += 1
    return {
      bytes,
      release: () => {
        giveBack()
        this.#held -= 1
        if (this.#leaving && this.#held === 0) this.#lender.left(this.#spare)
      },
    }
  }
}

/** One allocation, cut into pieces of one size. */
class Slab {
  readonly #memory = Buffer.allocUnsafeSlow(SLAB)
  #free: Uint8Array[] = []
  #out = 0
  pieceSize: number = SLAB

  get hasFree(): boolean {
    return this.#free.length > 0
  }

  get unused(): boolean {
    return this.#out === 0
  }

  cut(size: number): this {
    this.pieceSize = size
    this.#free = []
    for (let at = 0; at < SLAB; at += size) this.#free.push(this.#memory.subarray(at, at + size))
    return this
  }

  lend(): Piece | undefined {
    const bytes = this.#free.pop()
    if (bytes === undefined) return undefined
    this.#out += 1
    return {
      bytes,
      release: () => {
        this.#out -= 1
        this.#free.push(bytes)
      },
    }
  }
}
