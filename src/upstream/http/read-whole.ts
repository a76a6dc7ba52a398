import type { Intake } from '../../ports/source.ts'
import type { ReplyBody } from './exchange.ts'

const STEP = 16 * 1024

/** Collects a body in one growing buffer. */
class BufferIntake implements Intake {
  #memory = Buffer.allocUnsafeSlow(STEP)
  position = 0

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.position)
  }

  expect(): void {}

  buffer(): Uint8Array {
    if (this.position === this.#memory.length) {
      const larger = Buffer.allocUnsafeSlow(this.#memory.length * 2)
      this.#memory.copy(larger)
      this.#memory = larger
    }
    return this.#memory.subarray(this.position)
  }

  filled(length: number): boolean {
    this.position += length
    return true
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }
}

/** Reads a small body into memory. Throws a `Failure` when it is longer than `limit`. */
export async function readWhole(body: ReplyBody, limit: number): Promise<Buffer> {
  const intake = new BufferIntake()
  await body.readInto(intake, { skip: 0, limit })
  return intake.bytes
}
