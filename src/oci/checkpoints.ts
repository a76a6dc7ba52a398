/** The number of bytes between two checkpoints. */
export const CHECKPOINT_INTERVAL_BYTES = 65536
/** A checkpoint is the first 16 bytes of a digest: enough that other bytes with the same checkpoint cannot be found. */
export const CHECKPOINT_BYTES = 16
/** Only the first 64 GiB of a content have checkpoints. */
const MAX_CHECKPOINTS = 2 ** 20

/**
 * The known checkpoints of a content. Checkpoint number k is the start of the digest of the content's first (k + 1) · 64 KiB,
 * by the algorithm of the content's own digest. Two contents with an equal checkpoint have the same bytes before it.
 */
export class Checkpoints {
  #bytes = new Uint8Array()
  #count = 0

  get count(): number {
    return this.#count
  }

  /** How many bytes from the start the checkpoints cover. */
  get coveredBytes(): number {
    return this.#count * CHECKPOINT_INTERVAL_BYTES
  }

  at(number: number): Uint8Array {
    if (number < 0 || number >= this.#count) throw new RangeError(`there is no checkpoint number ${number}`)
    return this.#bytes.subarray(number * CHECKPOINT_BYTES, (number + 1) * CHECKPOINT_BYTES)
  }

  /** Copies the checkpoints from `number` on, up to but not including number `end`. */
  since(number: number, end = this.#count): Uint8Array {
    const last = Math.max(0, Math.min(end, this.#count)) * CHECKPOINT_BYTES
    return this.#bytes.slice(Math.min(Math.max(0, number) * CHECKPOINT_BYTES, last), last)
  }

  /** Adds the next checkpoints. An incomplete one at the end is ignored. */
  append(checkpoints: Uint8Array): void {
    const more = Math.min(Math.floor(checkpoints.length / CHECKPOINT_BYTES), MAX_CHECKPOINTS - this.#count)
    if (more <= 0) return
    const end = (this.#count + more) * CHECKPOINT_BYTES
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(
        Math.min(Math.max(end, this.#bytes.length * 2), MAX_CHECKPOINTS * CHECKPOINT_BYTES),
      )
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(checkpoints.subarray(0, more * CHECKPOINT_BYTES), this.#count * CHECKPOINT_BYTES)
    this.#count += more
  }

  /** Forgets the checkpoints from `number` on. */
  truncate(number: number): void {
    this.#count = Math.min(this.#count, number)
    if (this.#count === 0) this.#bytes = new Uint8Array()
  }
}
