import { AHEAD_UNIT_BYTES, type BytesAhead } from '../../ports/blob-store.ts'
import { diskFailure } from './layout.ts'
import type { OpenFile } from './open-file.ts'

const SLOT_UNITS = 16
const SLOT_BYTES = SLOT_UNITS * AHEAD_UNIT_BYTES
/** No more room than this is used for the bytes ahead of one content. */
const MOST_SLOTS = 512

/** A range of 1 MiB of the content, and where it is in the file. */
interface Slot {
  readonly offset: number
  /** Which of its units are written, one bit for each. */
  written: number
  writesUnderWay: number
}

/**
 * Bytes ahead in a file without a name. A slot of the file belongs to a range of the content until the range is discarded, and then to
 * another one, so the file is no larger than what was ahead at one time.
 */
export class AheadFile implements BytesAhead {
  readonly #file: OpenFile
  /** By the number of the range in the content. */
  readonly #slots = new Map<number, Slot>()
  readonly #freeOffsets: number[] = []
  #fileSlots = 0

  constructor(file: OpenFile) {
    this.#file = file
  }

  get freeBytes(): number {
    return (MOST_SLOTS - this.#slots.size) * SLOT_BYTES
  }

  get usedBytes(): number {
    return this.#fileSlots * SLOT_BYTES
  }

  endFrom(position: number): number {
    let unit = Math.floor(position / AHEAD_UNIT_BYTES)
    while (this.#has(unit)) unit += 1
    return Math.max(position, unit * AHEAD_UNIT_BYTES)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      if (position % AHEAD_UNIT_BYTES !== 0) throw new RangeError(`byte ${position} does not begin a unit`)
      for (let at = 0; at < bytes.length; ) {
        const start = position + at
        const piece = bytes.subarray(at, at + SLOT_BYTES - (start % SLOT_BYTES))
        await this.#writeInSlot(piece, start)
        at += piece.length
      }
    } catch (cause) {
      throw diskFailure('cannot write bytes ahead', cause)
    }
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const number = Math.floor(position / SLOT_BYTES)
    const slot = this.#slots.get(number)
    const end = Math.min(this.endFrom(position), (number + 1) * SLOT_BYTES)
    const length = Math.min(target.length, end - position)
    if (slot === undefined || length <= 0) return 0
    const offset = slot.offset + (position % SLOT_BYTES)
    const count = await this.#file.read(target.subarray(0, length), offset).catch(() => 0)
    // The slot may have been given to another range meanwhile.
    return this.#slots.get(number) === slot ? count : 0
  }

  discardBefore(position: number): void {
    for (const [number, slot] of this.#slots) {
      if (slot.writesUnderWay > 0 || (number + 1) * SLOT_BYTES > position) continue
      this.#slots.delete(number)
      this.#freeOffsets.push(slot.offset)
    }
  }

  async close(): Promise<void> {
    this.#slots.clear()
    this.#fileSlots = 0
    this.#freeOffsets.length = 0
    await this.#file.close()
  }

  #has(unit: number): boolean {
    const slot = this.#slots.get(Math.floor(unit / SLOT_UNITS))
    return slot !== undefined && (slot.written & (1 << (unit % SLOT_UNITS))) !== 0
  }

  async #writeInSlot(bytes: Uint8Array, position: number): Promise<void> {
    const number = Math.floor(position / SLOT_BYTES)
    const slot = this.#slots.get(number) ?? this.#newSlot()
    this.#slots.set(number, slot)
    slot.writesUnderWay += 1
    try {
      await this.#file.write(bytes, slot.offset + (position % SLOT_BYTES))
    } finally {
      slot.writesUnderWay -= 1
    }
    const first = (position % SLOT_BYTES) / AHEAD_UNIT_BYTES
    const count = Math.ceil(bytes.length / AHEAD_UNIT_BYTES)
    for (let unit = first; unit < first + count; unit += 1) slot.written |= 1 << unit
  }

  #newSlot(): Slot {
    if (this.#slots.size >= MOST_SLOTS) throw new Error('there are too many bytes ahead')
    const offset = this.#freeOffsets.pop() ?? this.#fileSlots++ * SLOT_BYTES
    return { offset, written: 0, writesUnderWay: 0 }
  }
}
