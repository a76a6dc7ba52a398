import { Failure } from '../../ports/failure.ts'

/** What is lent at least, and the unit in which is counted: 64 KiB. */
export const UNIT = 65536
/** What is lent at most in one piece, in units: 1 MiB. Larger pieces do not make a transfer faster. */
const LARGEST = 16
/** Every borrower can always have this many units: one to fill while the other is written. */
const OWED = 2
/** Pieces that a borrower should get out of its share: one being filled, one in hand, the others being written. */
const PIECES = 4
/** How much those who hold it for long may have of it together, beyond what they have a right to. */
const LASTING_SHARE = 1 / 2
/** How many may wait for a place. */
const QUEUE = 1024

/** A piece of the shared memory, lent until it is given back. */
export interface Slot {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** One who borrows; has a right to two units, and to its share of what is there. */
export interface Borrower {
  /** In bytes. */
  held: number
  /** It holds what it has until readers have read it, and they may be slow. */
  lasting: boolean
  /** Called when one who asked in vain should ask again. */
  readonly wake: () => void
}

interface Queued {
  readonly admit: () => void
  readonly timer: NodeJS.Timeout
}

/**
 * The memory into which sockets write and out of which writer threads read: one buffer for all blobs on their way in,
 * so that memory is bounded by configuration, whatever their number. It is divided anew with every slot that is lent: one
 * transfer alone gets large slots out of all of it, many get small ones, and each can always have two.
 */
export class SharedMemory {
  readonly #units: number
  readonly #lent: Uint8Array
  readonly #borrowers = new Set<Borrower>()
  /** Those who asked in vain, longest first. */
  readonly #waiting = new Set<Borrower>()
  readonly #queue = new Set<Queued>()
  readonly #queueMs: number
  #buffer: SharedArrayBuffer | undefined
  #free: number

  constructor(bytes: number, { queueMs = 30_000 } = {}) {
    this.#units = Math.max(OWED, Math.floor(bytes / UNIT))
    this.#lent = new Uint8Array(this.#units)
    this.#free = this.#units
    this.#queueMs = queueMs
  }

  /** Made when first needed, and kept: a new one for every pull would wait for a garbage collection to go. */
  get buffer(): SharedArrayBuffer {
    this.#buffer ??= new SharedArrayBuffer(this.#units * UNIT)
    return this.#buffer
  }

  /** Waits for a place when there are more borrowers than memory for them; the queue is short, and not for ever. */
  async join(wake: () => void): Promise<Borrower> {
    const borrower: Borrower = { held: 0, lasting: false, wake }
    if (this.#queue.size > 0 || !this.#admit(borrower)) {
      if (this.#queue.size >= QUEUE) throw new Failure('disk', 'too many blobs are on their way in')
      await new Promise<void>((resolve, reject) => {
        const queued: Queued = {
          admit: () => {
            if (!this.#admit(borrower)) return
            this.#queue.delete(queued)
            clearTimeout(queued.timer)
            resolve()
          },
          timer: setTimeout(() => {
            this.#queue.delete(queued)
            reject(new Failure('disk', 'too many blobs are on their way in for the memory there is'))
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
    this.#offer()
  }

  /** undefined: not now, `wake` is called when it is worth asking again. At most `most` bytes. */
  take(borrower: Borrower, most = LARGEST * UNIT): Slot | undefined {
    const held = borrower.held / UNIT
    const share = Math.max(OWED, Math.floor(this.#units / (this.#borrowers.size + this.#queue.size)))
    const spare = this.#free - this.#owed() + Math.max(0, OWED - held)
    const room = Math.min(share - held, spare, borrower.lasting ? this.#lastingRoom(held) : LARGEST)
    let units = powerOfTwo(Math.min(most / UNIT, LARGEST, Math.max(1, share / PIECES), room))
    for (; units >= 1; units /= 2) {
      const start = this.#find(units)
      if (start === undefined) continue
      this.#lent.fill(1, start, start + units)
      this.#free -= units
      borrower.held += units * UNIT
      const offset = start * UNIT
      return { offset, bytes: new Uint8Array(this.buffer, offset, units * UNIT) }
    }
    this.#waiting.add(borrower)
    return undefined
  }

  /** A slot, or a part of one that is whole units. */
  giveBack(borrower: Borrower, slot: Slot): void {
    const units = slot.bytes.length / UNIT
    const start = slot.offset / UNIT
    this.#lent.fill(0, start, start + units)
    this.#free += units
    borrower.held -= units * UNIT
    this.#offer()
  }

  #admit(borrower: Borrower): boolean {
    if (this.#free - this.#owed() < OWED) return false
    this.#borrowers.add(borrower)
    return true
  }

  #lastingRoom(held: number): number {
    let all = 0
    for (const borrower of this.#borrowers) if (borrower.lasting) all += borrower.held / UNIT
    return Math.max(OWED - held, Math.floor(this.#units * LASTING_SHARE) - all)
  }

  /** What borrowers that hold less than they have a right to could still ask for. */
  #owed(): number {
    let owed = 0
    for (const { held } of this.#borrowers) owed += Math.max(0, OWED - held / UNIT)
    return owed
  }

  /** The lowest place for so many units, aligned: low places stay in use, high ones may never be touched. */
  #find(units: number): number | undefined {
    for (let start = 0; start + units <= this.#units; start += units) {
      const used = this.#lent.indexOf(1, start)
      if (used === -1 || used >= start + units) return start
    }
    return undefined
  }

  /** Who waits for a place comes before those who have one and want more. */
  #offer(): void {
    for (const queued of [...this.#queue]) queued.admit()
    for (const borrower of [...this.#waiting]) {
      if (this.#free === 0) return
      this.#waiting.delete(borrower)
      borrower.wake()
    }
  }
}

function powerOfTwo(atMost: number): number {
  return atMost < 1 ? 0 : 2 ** Math.floor(Math.log2(atMost))
}
