/** So many bytes lie between two marks. */
export const CHECKPOINT_INTERVAL_BYTES = 65536
/** A mark is the start of a digest: enough that nobody finds other bytes that have it. */
export const CHECKPOINT_BYTES = 16
/** Those of 64 GiB. What comes after that has none. */
const MAX_CHECKPOINTS = 2 ** 20

/**
 * What a content is, piece by piece, as far as it is known: mark number k is the start of the digest of its first
 * (k + 1) · 64 KiB, by the algorithm of its own digest. Two contents that have a mark in common are the same up to there.
 */
export class Checkpoints {
  #bytes = new Uint8Array()
  #count = 0

  get count(): number {
    return this.#count
  }

  /** The bytes from the start that they tell of. */
  get coveredBytes(): number {
    return this.#count * CHECKPOINT_INTERVAL_BYTES
  }

  at(number: number): Uint8Array {
    if (number < 0 || number >= this.#count) throw new RangeError(`there is no mark number ${number}`)
    return this.#bytes.subarray(number * CHECKPOINT_BYTES, (number + 1) * CHECKPOINT_BYTES)
  }

  /** A copy of those from this number on, up to but not including number `end`. */
  since(number: number, end = this.#count): Uint8Array {
    const last = Math.max(0, Math.min(end, this.#count)) * CHECKPOINT_BYTES
    return this.#bytes.slice(Math.min(Math.max(0, number) * CHECKPOINT_BYTES, last), last)
  }

  /** Goes on with whole marks. */
  append(marks: Uint8Array): void {
    const more = Math.min(Math.floor(marks.length / CHECKPOINT_BYTES), MAX_CHECKPOINTS - this.#count)
    if (more <= 0) return
    const end = (this.#count + more) * CHECKPOINT_BYTES
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(
        Math.min(Math.max(end, this.#bytes.length * 2), MAX_CHECKPOINTS * CHECKPOINT_BYTES),
      )
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(marks.subarray(0, more * CHECKPOINT_BYTES), this.#count * CHECKPOINT_BYTES)
    this.#count += more
  }

  /** Forgets those from this number on. */
  truncate(number: number): void {
    this.#count = Math.min(this.#count, number)
    if (this.#count === 0) this.#bytes = new Uint8Array()
  }
}
