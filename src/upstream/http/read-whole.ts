import type { Intake } from '../../ports/source.ts'
import type { HttpResponseBody } from './messages.ts'

/** Most lists and token answers fit into this; the buffer doubles for larger ones. */
const FIRST_BUFFER_BYTES = 16 * 1024

/** Collects a body in one growing buffer. */
class BufferIntake implements Intake {
  #memory = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES)
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
export async function readWhole(body: HttpResponseBody, limit: number): Promise<Buffer> {
  const intake = new BufferIntake()
  await body.readInto(intake, { skip: 0, limit })
  return intake.bytes
}
