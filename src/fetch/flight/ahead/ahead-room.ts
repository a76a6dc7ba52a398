import type { BytesAhead } from '../../../ports/blob-store.ts'

/** Bounds what the bytes ahead of all flights use of the disk together, which nobody has reserved. */
export class AheadRoom {
  readonly #mostBytes: number
  readonly #files = new Set<BytesAhead>()

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get freeBytes(): number {
    let usedBytes = 0
    for (const file of this.#files) usedBytes += file.usedBytes
    return Math.max(0, this.#mostBytes - usedBytes)
  }

  add(file: BytesAhead): void {
    this.#files.add(file)
  }

  /** To be called when the file is closed, which frees its room. */
  remove(file: BytesAhead): void {
    this.#files.delete(file)
  }
}
