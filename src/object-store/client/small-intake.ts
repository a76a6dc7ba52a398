import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'

const STEP_BYTES = 16 * 1024

/** An intake for an answer that is read into memory whole, up to a limit. */
export class SmallIntake implements Intake {
  readonly #limit: number
  #bytes: Buffer
  #position = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(limit, STEP_BYTES))
  }

  get position(): number {
    return this.#position
  }

  /** What has come so far. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#position)
  }

  expect(): void {}

  buffer(): Uint8Array {
    if (this.#position === this.#bytes.length) this.#grow()
    return this.#bytes.subarray(this.#position)
  }

  filled(length: number): boolean {
    this.#position += length
    return true
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  #grow(): void {
    if (this.#bytes.length >= this.#limit) throw new Failure('too-large', 'The answer is too long.')
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#limit, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#position)
    this.#bytes = larger
  }
}
