import { createHash, type Hash } from 'node:crypto'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../src/oci/checkpoints.ts'
import { algorithmOf, type Digest } from '../../src/oci/digest.ts'

/** Bytes that grow and are cut, with the checkpoints of as many as are told to have some. */
export class GrowingBytes {
  readonly checkpoints = new Checkpoints()
  readonly #algorithm: string
  #memory: Uint8Array
  #length: number
  /** The hash of all bytes that have checkpoints; undefined when it must be computed from the first byte. */
  #hash: Hash | undefined

  constructor(wanted: Digest, start: Uint8Array = new Uint8Array()) {
    this.#algorithm = algorithmOf(wanted)
    this.#memory = Uint8Array.from(start)
    this.#length = start.length
  }

  get length(): number {
    return this.#length
  }

  append(bytes: Uint8Array): void {
    const end = this.#length + bytes.length
    if (end > this.#memory.length) {
      const larger = new Uint8Array(Math.max(end, this.#memory.length * 2))
      larger.set(this.#memory)
      this.#memory = larger
    }
    this.#memory.set(bytes, this.#length)
    this.#length = end
  }

  subarray(start: number, end: number): Uint8Array {
    return this.#memory.subarray(start, Math.min(end, this.#length))
  }

  copy(end = this.#length): Uint8Array {
    return this.#memory.slice(0, end)
  }

  /** Adds the checkpoints of the bytes before `end`. */
  addCheckpoints(end: number): void {
    while (this.checkpoints.coveredBytes + CHECKPOINT_INTERVAL_BYTES <= end) {
      const start = this.checkpoints.coveredBytes
      this.#hash ??= createHash(this.#algorithm).update(this.#memory.subarray(0, start))
      this.#hash.update(this.#memory.subarray(start, start + CHECKPOINT_INTERVAL_BYTES))
      this.checkpoints.append(this.#hash.copy().digest().subarray(0, CHECKPOINT_BYTES))
    }
  }

  /** Takes back the bytes after `position`, a multiple of 64 KiB. */
  truncate(position: number): void {
    // Whoever was given a view of the bytes before must not see later ones.
    this.#memory = this.#memory.slice(0, position)
    this.#length = position
    this.checkpoints.truncate(position / CHECKPOINT_INTERVAL_BYTES)
    this.#hash = undefined
  }
}
