import { unlessAborted } from '../../lib/async/abort.ts'
import type { Intake } from '../../ports/source.ts'

/** One range of an object, which is read into memory before its turn, and then moves into the intake of a flight. */
export class RangeInMemory implements Intake {
  readonly start: number
  readonly end: number
  readonly memory: Uint8Array
  #arrived = 0
  #failure: unknown
  #hasFailed = false
  #onChange: (() => void) | undefined

  constructor(memory: Uint8Array, start: number, end: number) {
    this.memory = memory
    this.start = start
    this.end = end
  }

  get position(): number {
    return this.start + this.#arrived
  }

  expect(): void {}

  buffer(): Uint8Array {
    return this.memory.subarray(this.#arrived, this.end - this.start)
  }

  filled(length: number): boolean {
    this.#arrived += length
    this.#onChange?.()
    return true
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  fail(error: unknown): void {
    this.#failure = error
    this.#hasFailed = true
    this.#onChange?.()
  }

  /** Moves the range into the intake while it arrives. Rejects with the error that has ended its reading. */
  async moveInto(intake: Intake, { signal }: { signal: AbortSignal }): Promise<void> {
    const length = this.end - this.start
    for (let moved = 0; moved < length; ) {
      if (moved === this.#arrived) {
        if (this.#hasFailed) throw this.#failure
        await unlessAborted(this.#changed(), signal)
        continue
      }
      const room = intake.buffer()
      const count = Math.min(room.length, this.#arrived - moved)
      room.set(this.memory.subarray(moved, moved + count))
      moved += count
      if (!intake.filled(count) && moved < length) await unlessAborted(intake.drained(), signal)
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve
    })
  }
}
