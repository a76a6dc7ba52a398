import { type Borrower, type SharedMemory, type Slot, UNIT_BYTES } from '../../lanes/shared-memory.ts'
import { Failure } from '../../ports/failure.ts'

/** A range of the shared memory that the lane has to hash and write. */
export interface WindowPiece {
  readonly offset: number
  readonly length: number
}

interface HandedPiece extends WindowPiece {
  /** Position in the content at which the piece ends. */
  readonly end: number
}

interface LentSlot {
  readonly slot: Slot
  /** Position in the content of the slot's first byte. */
  readonly start: number
  /** Position in the content up to which the slot is filled. */
  end: number
  /** Bytes from the start of the slot that were given back already. */
  returnedBytes: number
}

/**
 * The slots of one incoming: the slot that is being filled, the next one in reserve, and the filled slots that wait to be
 * written. Where bytes are not written to a file, their slots wait until readers have read them.
 */
export class WriteWindow {
  readonly #memory: SharedMemory
  readonly #borrower: Borrower
  #position: number
  #current: LentSlot
  /** Slots before the current one, the oldest first. */
  readonly #filled: LentSlot[] = []
  /** While there is no next slot, the source must stop before the current slot is full. */
  #nextSlot: Slot | undefined
  #handedOver: number
  readonly #handed: HandedPiece[] = []
  #written: number
  /** Bytes from this position on stay even when they are written; undefined: bytes stay only until they are written. */
  #neededFrom: number | undefined

  /** `position`: where in the content the first byte belongs. The first slot is one of those guaranteed to a borrower. */
  constructor(memory: SharedMemory, borrower: Borrower, position: number) {
    const slot = memory.take(borrower, UNIT_BYTES)
    if (slot === undefined) throw new Failure('disk', 'no memory for a content that was admitted')
    this.#memory = memory
    this.#borrower = borrower
    this.#position = position
    this.#handedOver = position
    this.#written = position
    this.#current = { slot, start: position, end: position, returnedBytes: 0 }
  }

  get position(): number {
    return this.#position
  }

  /** What can be filled now. Empty only when the source continued although there was no next slot. */
  get free(): Uint8Array {
    const { slot, start, end } = this.#current
    return slot.bytes.subarray(end - start)
  }

  /** The memory of the next slot. A lane may fill it before the current slot counts as full. */
  get nextSlot(): Uint8Array | undefined {
    return this.#nextSlot?.bytes
  }

  /** The current slot is full and there is a next one. */
  get isSlotChangeDue(): boolean {
    return this.#nextSlot !== undefined && this.free.length === 0
  }

  /** Bytes that are filled and not handed over. */
  get pendingBytes(): number {
    return this.#position - this.#handedOver
  }

  /** Pieces that were handed over and are not written yet. */
  get unwritten(): readonly WindowPiece[] {
    return this.#handed
  }

  /** The bytes of the first slot, as long as it is the only one. */
  get firstSlot(): Uint8Array {
    const { slot, start, end } = this.#current
    return slot.bytes.subarray(0, end - start)
  }

  fill(length: number): void {
    if (length > this.free.length) throw new RangeError('more was filled than the buffer holds')
    this.#position += length
    this.#current.end = this.#position
    this.takeNextSlot()
  }

  /** Takes the next slot unless there is one. False: there is no memory for it now. */
  takeNextSlot(): boolean {
    this.#nextSlot ??= this.#memory.take(this.#borrower)
    return this.#nextSlot !== undefined
  }

  /** Continues with the next slot, and hands over the rest of the current one. */
  changeSlot(): WindowPiece | undefined {
    if (this.#nextSlot === undefined) return undefined
    const piece = this.handOver()
    this.#filled.push(this.#current)
    this.#current = { slot: this.#nextSlot, start: this.#position, end: this.#position, returnedBytes: 0 }
    this.#nextSlot = undefined
    this.#giveBackWritten()
    this.takeNextSlot()
    return piece
  }

  /** Hands over all that is filled and was not handed over before. The slot stays the current one. */
  handOver(): WindowPiece | undefined {
    if (this.#handedOver === this.#position) return undefined
    const { slot, start } = this.#current
    const offset = slot.offset + this.#handedOver - start
    const length = this.#position - this.#handedOver
    this.#handedOver = this.#position
    this.#handed.push({ offset, length, end: this.#position })
    return { offset, length }
  }

  /** The content is written up to `position`: slots that end before it are given back unless readers need them. */
  written(position: number): void {
    this.#written = position
    while ((this.#handed[0]?.end ?? Number.POSITIVE_INFINITY) <= position) this.#handed.shift()
    this.#giveBackWritten()
  }

  /** From now on written bytes stay if they are at or behind `position`. */
  keepFrom(position: number): void {
    this.#neededFrom = position
    this.#giveBackWritten()
  }

  /** Copies bytes from `position` on, at most to the end of a slot. Returns how many; 0 when they are not in the window. */
  copy(target: Uint8Array, position: number): number {
    for (const { slot, start, end, returnedBytes } of [...this.#filled, this.#current]) {
      if (position < start + returnedBytes || position >= end) continue
      const length = Math.min(target.length, end - position)
      target.set(slot.bytes.subarray(position - start, position - start + length))
      return length
    }
    return 0
  }

  /** Gives all slots back, written or not. No thread may write from them any more. */
  release(): void {
    for (const lent of [...this.#filled.splice(0), this.#current])
      this.#giveBackUpTo(lent, lent.slot.bytes.length)
    this.#handed.length = 0
    if (this.#nextSlot !== undefined) this.#memory.giveBack(this.#borrower, this.#nextSlot)
    this.#nextSlot = undefined
  }

  #giveBackWritten(): void {
    const end = Math.min(this.#written, this.#neededFrom ?? Number.POSITIVE_INFINITY)
    for (let [oldest] = this.#filled; oldest !== undefined && oldest.end <= end; [oldest] = this.#filled) {
      this.#filled.shift()
      this.#giveBackUpTo(oldest, oldest.slot.bytes.length)
    }
    // Slow readers may never leave the current slot: the units before them are given back without waiting for that.
    const oldest = this.#filled[0] ?? this.#current
    if (this.#neededFrom !== undefined && end > oldest.start) {
      this.#giveBackUpTo(oldest, Math.floor((end - oldest.start) / UNIT_BYTES) * UNIT_BYTES)
    }
  }

  #giveBackUpTo(lent: LentSlot, end: number): void {
    const { slot, returnedBytes } = lent
    if (end <= returnedBytes) return
    lent.returnedBytes = end
    this.#memory.giveBack(this.#borrower, {
      offset: slot.offset + returnedBytes,
      bytes: slot.bytes.subarray(returnedBytes, end),
    })
  }
}
