import { Failure } from '../ports/failure.ts'

/** Memory is lent and counted in units of 64 KiB, which is also the smallest slot. */
export const UNIT_BYTES = 65536
/** A slot has at most 16 units, 1 MiB: larger slots do not make a transfer faster. */
const LARGEST_SLOT_UNITS = 16
/** Every borrower can always have two units: the source fills one while the lane writes the other. */
const GUARANTEED_UNITS = 2
/** A borrower's share is divided into at least four slots: one is filled, one is ready, the others are being written. */
const SLOTS_PER_SHARE = 4
/** Long-term borrowers together may hold half of the memory, beyond the units guaranteed to each. */
const LONG_TERM_SHARE = 1 / 2
/** More than 1024 contents that wait for memory are a flood: the next one is refused at once. */
const QUEUE_LIMIT = 1024

/** A range of the shared memory, lent until it is given back. */
export interface Slot {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** One incoming that borrows memory. It has a right to two units, and to its share of the memory. */
export interface Borrower {
  borrowedBytes: number
  /** The borrower keeps its slots until readers have read them, and readers may be slow. */
  isLongTerm: boolean
  /** Called when a borrower whose last `take` gave nothing should try again. */
  readonly wake: () => void
}

interface QueuedBorrower {
  readonly tryAdmit: () => void
  readonly timer: NodeJS.Timeout
}

/**
 * The memory into which sockets write and from which lanes read. All incoming contents share one buffer, so that
 * the configuration bounds the memory whatever their number. The share of a borrower is computed anew with every slot: one
 * transfer alone gets large slots and all of the memory, many transfers get small slots, and each can always have two.
 */
export class SharedMemory {
  readonly #units: number
  /** One byte for each unit: 1 while the unit is lent. */
  readonly #isLent: Uint8Array
  readonly #borrowers = new Set<Borrower>()
  /** Borrowers whose last `take` gave nothing, the longest waiting first. */
  readonly #waiting = new Set<Borrower>()
  readonly #queue = new Set<QueuedBorrower>()
  readonly #queueMs: number
  #buffer: SharedArrayBuffer | undefined
  #freeUnits: number

  constructor(bytes: number, { queueMs = 30_000 } = {}) {
    this.#units = Math.max(GUARANTEED_UNITS, Math.floor(bytes / UNIT_BYTES))
    this.#isLent = new Uint8Array(this.#units)
    this.#freeUnits = this.#units
    this.#queueMs = queueMs
  }

  /** The buffer is made at the first use and stays: a new buffer for every pull would stay until a garbage collection. */
  get buffer(): SharedArrayBuffer {
    this.#buffer ??= new SharedArrayBuffer(this.#units * UNIT_BYTES)
    return this.#buffer
  }

  /** Admits a borrower. While the memory cannot guarantee two units to one more, the call waits for at most `queueMs`. */
  async join(wake: () => void): Promise<Borrower> {
    const borrower: Borrower = { borrowedBytes: 0, isLongTerm: false, wake }
    if (this.#queue.size > 0 || !this.#tryAdmit(borrower)) {
      if (this.#queue.size >= QUEUE_LIMIT) throw new Failure('disk', 'too many contents are being received')
      await new Promise<void>((resolve, reject) => {
        const queued: QueuedBorrower = {
          tryAdmit: () => {
            if (!this.#tryAdmit(borrower)) return
            this.#queue.delete(queued)
            clearTimeout(queued.timer)
            resolve()
          },
          timer: setTimeout(() => {
            this.#queue.delete(queued)
            reject(new Failure('disk', 'too many contents are being received for the memory available'))
          }, this.#queueMs),
        }
        this.#queue.add(queued)
      })
    }
    return borrower
  }

  leave(borrower: Borrower): void {
    this.#borrowers.delete(borrower)
    this.#waiting.delete(borrower)
    this.#offerFreeUnits()
  }

  /** Lends a slot of at most `mostBytes`. undefined: none is free now, and `wake` is called when it is worth asking again. */
  take(borrower: Borrower, mostBytes = LARGEST_SLOT_UNITS * UNIT_BYTES): Slot | undefined {
    const borrowed = borrower.borrowedBytes / UNIT_BYTES
    const share = Math.max(
      GUARANTEED_UNITS,
      Math.floor(this.#units / (this.#borrowers.size + this.#queue.size)),
    )
    const spare = this.#freeUnits - this.#guaranteedUnits() + Math.max(0, GUARANTEED_UNITS - borrowed)
    const longTerm = borrower.isLongTerm ? this.#longTermUnits(borrowed) : LARGEST_SLOT_UNITS
    const allowed = Math.min(share - borrowed, spare, longTerm)
    const largest = Math.min(
      mostBytes / UNIT_BYTES,
      LARGEST_SLOT_UNITS,
      Math.max(1, share / SLOTS_PER_SHARE),
      allowed,
    )
    for (let units = floorToPowerOfTwo(largest); units >= 1; units /= 2) {
      const start = this.#findFreeUnits(units)
      if (start === undefined) continue
      this.#isLent.fill(1, start, start + units)
      this.#freeUnits -= units
      borrower.borrowedBytes += units * UNIT_BYTES
      const offset = start * UNIT_BYTES
      return { offset, bytes: new Uint8Array(this.buffer, offset, units * UNIT_BYTES) }
    }
    this.#waiting.add(borrower)
    return undefined
  }

  /** Takes back a slot, or a part of a slot that consists of whole units. */
  giveBack(borrower: Borrower, slot: Slot): void {
    const units = slot.bytes.length / UNIT_BYTES
    const start = slot.offset / UNIT_BYTES
    this.#isLent.fill(0, start, start + units)
    this.#freeUnits += units
    borrower.borrowedBytes -= units * UNIT_BYTES
    this.#offerFreeUnits()
  }

  #tryAdmit(borrower: Borrower): boolean {
    if (this.#freeUnits - this.#guaranteedUnits() < GUARANTEED_UNITS) return false
    this.#borrowers.add(borrower)
    return true
  }

  /** How many units a long-term borrower that holds `borrowed` units may still take. */
  #longTermUnits(borrowed: number): number {
    let all = 0
    for (const borrower of this.#borrowers)
      if (borrower.isLongTerm) all += borrower.borrowedBytes / UNIT_BYTES
    return Math.max(GUARANTEED_UNITS - borrowed, Math.floor(this.#units * LONG_TERM_SHARE) - all)
  }

  /** Units that are guaranteed to borrowers which have not taken them yet. */
  #guaranteedUnits(): number {
    let guaranteed = 0
    for (const { borrowedBytes } of this.#borrowers)
      guaranteed += Math.max(0, GUARANTEED_UNITS - borrowedBytes / UNIT_BYTES)
    return guaranteed
  }

  /** The lowest aligned range of free units: high addresses may then never be touched, and cost no physical memory. */
  #findFreeUnits(units: number): number | undefined {
    for (let start = 0; start + units <= this.#units; start += units) {
      const used = this.#isLent.indexOf(1, start)
      if (used === -1 || used >= start + units) return start
    }
    return undefined
  }

  /** Admits queued borrowers first, then wakes borrowers that want more than they have. */
  #offerFreeUnits(): void {
    for (const queued of [...this.#queue]) queued.tryAdmit()
    for (const borrower of [...this.#waiting]) {
      if (this.#freeUnits === 0) return
      this.#waiting.delete(borrower)
      borrower.wake()
    }
  }
}

function floorToPowerOfTwo(value: number): number {
  return value < 1 ? 0 : 2 ** Math.floor(Math.log2(value))
}
