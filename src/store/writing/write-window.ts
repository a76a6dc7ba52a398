import { Failure } from '../../ports/failure.ts'
import { type Borrower, type SharedMemory, type Slot, UNIT } from './shared-memory.ts'

/** A piece of the shared memory that is to be written. */
export interface Piece {
  readonly offset: number
  readonly length: number
}

interface Handed extends Piece {
  /** Position of its end in the blob. */
  readonly end: number
}

interface Lent {
  readonly slot: Slot
  /** Positions in the blob of its first byte, and of the end of what is filled. */
  readonly start: number
  end: number
  /** Bytes from its start that have been given back. */
  returned: number
}

/** A slot with less than this part of it left is as good as full: reads into what is left would be too small. */
const WORTH_FILLING = 1 / 16

/**
 * The slots of one blob on its way in: one that is being filled, one in hand, and those that wait to be written, or to be
 * read where reading is possible only from here.
 */
export class Filling {
  readonly #memory: SharedMemory
  readonly #place: Borrower
  #position: number
  #current: Lent
  /** Those before the current one, oldest first. */
  readonly #full: Lent[] = []
  /** What the current slot is followed by; without one the source must stop, while there is still a slot to fill. */
  #next: Slot | undefined
  #handedOver: number
  readonly #handed: Handed[] = []
  #written: number
  /** What is from here on is needed even when it is written; undefined: only until then. */
  #needed: number | undefined

  /** `position`: where in the blob the first byte belongs. Whoever has a place can always have this. */
  constructor(memory: SharedMemory, place: Borrower, position: number) {
    const slot = memory.take(place, UNIT)
    if (slot === undefined) throw new Failure('disk', 'no memory for a blob that has a place')
    this.#memory = memory
    this.#place = place
    this.#position = position
    this.#handedOver = position
    this.#written = position
    this.#current = { slot, start: position, end: position, returned: 0 }
  }

  get position(): number {
    return this.#position
  }

  /** Empty only when the source went on although there was no slot in hand. */
  get room(): Uint8Array {
    const { slot, start, end } = this.#current
    return slot.bytes.subarray(end - start)
  }

  get hasNext(): boolean {
    return this.#next !== undefined
  }

  /** The current slot is as good as full and there is another. */
  get isTurnDue(): boolean {
    return this.#next !== undefined && this.room.length < this.#current.slot.bytes.length * WORTH_FILLING
  }

  /** Bytes that are filled and not handed over. */
  get waiting(): number {
    return this.#position - this.#handedOver
  }

  /** Handed over, and not written yet. */
  get unwritten(): readonly Piece[] {
    return this.#handed
  }

  /** What is in the first slot, as long as that is the only one. */
  get first(): Uint8Array {
    const { slot, start, end } = this.#current
    return slot.bytes.subarray(0, end - start)
  }

  fill(length: number): void {
    if (length > this.room.length) throw new RangeError('more was filled than the buffer holds')
    this.#position += length
    this.#current.end = this.#position
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
    const piece = this.handOver()
    this.#full.push(this.#current)
    this.#current = { slot: this.#next, start: this.#position, end: this.#position, returned: 0 }
    this.#next = undefined
    this.#giveBack()
    this.reserve()
    return piece
  }

  /** All that is filled and not handed over yet; the slot stays the current one. */
  handOver(): Piece | undefined {
    if (this.#handedOver === this.#position) return undefined
    const { slot, start } = this.#current
    const offset = slot.offset + this.#handedOver - start
    const length = this.#position - this.#handedOver
    this.#handedOver = this.#position
    this.#handed.push({ offset, length, end: this.#position })
    return { offset, length }
  }

  /** The blob is written up to there: slots behind that are free again, unless they are needed. */
  written(position: number): void {
    this.#written = position
    while ((this.#handed[0]?.end ?? Number.POSITIVE_INFINITY) <= position) this.#handed.shift()
    this.#giveBack()
  }

  /** From now on what is written stays here from this position on, and only that. */
  need(position: number): void {
    this.#needed = position
    this.#giveBack()
  }

  /** Copies what is here from `position` on, at most to the end of a slot; gives how many bytes. */
  copy(target: Uint8Array, position: number): number {
    for (const { slot, start, end, returned } of [...this.#full, this.#current]) {
      if (position < start + returned || position >= end) continue
      const length = Math.min(target.length, end - position)
      target.set(slot.bytes.subarray(position - start, position - start + length))
      return length
    }
    return 0
  }

  /** Gives everything back, written or not: when nobody writes any more. */
  end(): void {
    for (const lent of [...this.#full.splice(0), this.#current])
      this.#giveBackTo(lent, lent.slot.bytes.length)
    this.#handed.length = 0
    if (this.#next !== undefined) this.#memory.giveBack(this.#place, this.#next)
    this.#next = undefined
  }

  #giveBack(): void {
    const free = Math.min(this.#written, this.#needed ?? Number.POSITIVE_INFINITY)
    for (let [oldest] = this.#full; oldest !== undefined && oldest.end <= free; [oldest] = this.#full) {
      this.#full.shift()
      this.#giveBackTo(oldest, oldest.slot.bytes.length)
    }
    // What readers need moves on slowly, and may never leave the current slot: the rest of it must not wait for them.
    const oldest = this.#full[0] ?? this.#current
    if (this.#needed !== undefined && free > oldest.start) {
      this.#giveBackTo(oldest, Math.floor((free - oldest.start) / UNIT) * UNIT)
    }
  }

  #giveBackTo(lent: Lent, end: number): void {
    const { slot, returned } = lent
    if (end <= returned) return
    lent.returned = end
    this.#memory.giveBack(this.#place, {
      offset: slot.offset + returned,
      bytes: slot.bytes.subarray(returned, end),
    })
  }
}
