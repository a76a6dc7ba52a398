import { Failure } from '../resolve/failure.ts'
import { type Borrower, type SharedMemory, type Slot, UNIT } from './shared-memory.ts'

/** A piece of the shared memory that is to be written. */
export interface Piece {
  readonly offset: number
  readonly length: number
}

interface Handed extends Piece {
  readonly slot: Slot
  /** Position of its end in the blob. */
  readonly end: number
  /** The slot is given back when this piece is written. */
  readonly last: boolean
}

/** A slot with less than this part of it left is as good as full: reads into what is left would be too small. */
const WORTH_FILLING = 1 / 16

/** The slots of one blob on its way in: one that is being filled, one in hand, and those that wait to be written. */
export class Filling {
  readonly #memory: SharedMemory
  readonly #place: Borrower
  #position: number
  #current: Slot
  /** Of the current slot: filled so far, and handed over so far. */
  #filled = 0
  #handedOver = 0
  /** What the current slot is followed by; without one the source must stop, while there is still a slot to fill. */
  #next: Slot | undefined
  readonly #handed: Handed[] = []

  /** `position`: where in the blob the first byte belongs. Whoever has a place can always have this. */
  constructor(memory: SharedMemory, place: Borrower, position: number) {
    const slot = memory.take(place, UNIT)
    if (slot === undefined) throw new Failure('disk', 'no memory for a blob that has a place')
    this.#memory = memory
    this.#place = place
    this.#position = position
    this.#current = slot
  }

  get position(): number {
    return this.#position
  }

  /** Empty only when the source went on although there was no slot in hand. */
  get room(): Uint8Array {
    return this.#current.bytes.subarray(this.#filled)
  }

  get hasNext(): boolean {
    return this.#next !== undefined
  }

  /** The current slot is as good as full and there is another. */
  get isTurnDue(): boolean {
    const { length } = this.#current.bytes
    return this.#next !== undefined && length - this.#filled < length * WORTH_FILLING
  }

  /** Handed over, and not written yet. */
  get unwritten(): readonly Piece[] {
    return this.#handed
  }

  /** What is at the start of the oldest slot that is still here. */
  get oldest(): Uint8Array {
    return (this.#handed[0]?.slot ?? this.#current).bytes
  }

  fill(length: number): void {
    if (length > this.#current.bytes.length - this.#filled) {
      throw new RangeError('more was filled than the buffer holds')
    }
    this.#filled += length
    this.#position += length
    this.reserve()
  }

  /** Sees to it that there is a slot in hand, if one can be had. */
  reserve(): boolean {
    this.#next ??= this.#memory.take(this.#place)
    return this.#next !== undefined
  }

  /** Goes on with the slot in hand; gives what is left to be written of the one before. */
  turn(): Piece | undefined {
    if (this.#next === undefined) return undefined
    const piece = this.#hand(true)
    this.#current = this.#next
    this.#next = undefined
    this.#filled = 0
    this.#handedOver = 0
    this.reserve()
    return piece
  }

  /** All that is filled and not handed over yet; the slot stays the current one. */
  handOver(): Piece | undefined {
    return this.#filled === this.#handedOver ? undefined : this.#hand(false)
  }

  /** The blob is written up to there: slots behind that are free again. */
  written(position: number): void {
    for (let [piece] = this.#handed; piece !== undefined && piece.end <= position; [piece] = this.#handed) {
      this.#handed.shift()
      if (piece.last) this.#memory.giveBack(this.#place, piece.slot)
    }
  }

  /** Gives everything back, written or not: when nobody writes any more. */
  end(): void {
    this.written(Number.POSITIVE_INFINITY)
    this.#memory.giveBack(this.#place, this.#current)
    if (this.#next !== undefined) this.#memory.giveBack(this.#place, this.#next)
    this.#next = undefined
  }

  #hand(last: boolean): Piece {
    const offset = this.#current.offset + this.#handedOver
    const length = this.#filled - this.#handedOver
    this.#handedOver = this.#filled
    this.#handed.push({ slot: this.#current, offset, length, end: this.#position, last })
    return { offset, length }
  }
}
