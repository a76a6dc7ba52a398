const SLAB = 1024 * 1024
const SIZES = [SLAB, 256 * 1024, 64 * 1024] as const
const SPARE = 16 * 1024
const SPARE_SHARE = 1 / 4
const MOST_AT_ONCE = 3

/** How many bodies can be sent at once through so much memory, and each still move on. */
export function mostBodies(totalBytes: number): number {
  return Math.max(1, Math.floor((totalBytes * SPARE_SHARE) / SPARE))
}

/** Memory lent for one read and the write after it. */
export interface Piece {
  readonly bytes: Uint8Array
  /** Exactly once, when nobody will look at `bytes` any more. */
  release(): void
}

/**
 * The memory that all bodies together go through. Most of it is shared, in big pieces while few bodies are sent and in
 * small ones when there are many. The rest is cut into spares, one for each body: clients that stall may hold all that
 * is shared, and every body still moves on.
 */
export class BodyBuffers {
  readonly #maxSlabs: number
  readonly #slabs: Slab[] = []
  readonly #spares: Uint8Array[] = []
  #loans = 0
  #pieces = 0

  constructor(totalBytes: number) {
    this.#maxSlabs = Math.floor((totalBytes * (1 - SPARE_SHARE)) / SLAB)
  }

  /** Pieces that are lent now. */
  get pieces(): number {
    return this.#pieces
  }

  /** For one body. There may be as many at once as `mostBodies` says, besides those that rest; seats.ts sees to that. */
  open(): Loan {
    return new Loan({
      opened: () => {
        this.#loans += 1
      },
      shared: (most) => this.#takeShared(most),
      spare: () => this.#spares.pop() ?? Buffer.allocUnsafeSlow(SPARE),
      counted: (change) => {
        this.#pieces += change
      },
      closed: (spare) => {
        this.#loans -= 1
        if (spare !== undefined) this.#spares.push(spare)
      },
    })
  }

  #takeShared(most: number): Piece | undefined {
    const fair = (this.#maxSlabs * SLAB) / (MOST_AT_ONCE * this.#loans)
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
  opened(): void
  shared(most: number): Piece | undefined
  spare(): Uint8Array
  counted(change: 1 | -1): void
  closed(spare: Uint8Array | undefined): void
}

/** The memory of one body. */
export class Loan {
  readonly #lender: Lender
  #held = 0
  #spare: Uint8Array | undefined
  #spareIsOut = false
  #isOpen = false
  /** Nothing more is taken, for now or for good. */
  #isDone = false

  constructor(lender: Lender) {
    this.#lender = lender
    this.resume()
  }

  /** Undefined: this body holds all it may; it gets more when it has released a piece. */
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

  /** There is nothing to send for now: what it has is given back for others once the last piece is. */
  rest(): void {
    this.#isDone = true
    if (this.#held === 0) this.#giveBack()
  }

  resume(): void {
    this.#isDone = false
    if (this.#isOpen) return
    this.#isOpen = true
    this.#lender.opened()
  }

  close(): void {
    this.rest()
  }

  #giveBack(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const spare = this.#spare
    this.#spare = undefined
    this.#lender.closed(spare)
  }

  #lent(bytes: Uint8Array, giveBack: () => void): Piece {
    this.#held += 1
    this.#lender.counted(1)
    return {
      bytes,
      release: () => {
        giveBack()
        this.#held -= 1
        this.#lender.counted(-1)
        if (this.#isDone && this.#held === 0) this.#giveBack()
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
