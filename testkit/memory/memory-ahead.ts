import { AHEAD_UNIT_BYTES, type BytesAhead } from '../../src/ports/blob-store.ts'

/** The twin of bytes ahead on disk. */
export class MemoryAhead implements BytesAhead {
  readonly #units = new Map<number, Uint8Array>()
  freeBytes = Number.POSITIVE_INFINITY

  get usedBytes(): number {
    return this.#units.size * AHEAD_UNIT_BYTES
  }

  endFrom(position: number): number {
    let unit = Math.floor(position / AHEAD_UNIT_BYTES)
    while (this.#units.has(unit)) unit += 1
    return Math.max(position, unit * AHEAD_UNIT_BYTES)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    if (position % AHEAD_UNIT_BYTES !== 0) throw new RangeError(`byte ${position} does not begin a unit`)
    for (let at = 0; at < bytes.length; at += AHEAD_UNIT_BYTES) {
      this.#units.set((position + at) / AHEAD_UNIT_BYTES, bytes.slice(at, at + AHEAD_UNIT_BYTES))
    }
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const unit = this.#units.get(Math.floor(position / AHEAD_UNIT_BYTES))
    const found = unit?.subarray(position % AHEAD_UNIT_BYTES).subarray(0, target.length) ?? new Uint8Array()
    target.set(found)
    return found.length
  }

  discardBefore(position: number): void {
    for (const unit of this.#units.keys()) {
      if ((unit + 1) * AHEAD_UNIT_BYTES <= position) this.#units.delete(unit)
    }
  }

  async close(): Promise<void> {
    this.#units.clear()
  }
}
