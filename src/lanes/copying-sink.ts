import type { BodySink } from '../lib/http1/body-transfer.ts'
import type { SharedSink } from './lent-body.ts'

const WINDOW_BYTES = 64 * 1024

/** Gives a lane memory to fill for a sink whose own memory is not shared, and copies. For short bodies, such as those of errors. */
class CopyingSink implements SharedSink {
  readonly #sink: BodySink
  readonly #window = new Uint8Array(new SharedArrayBuffer(WINDOW_BYTES))
  #filledBytes = 0

  constructor(sink: BodySink) {
    this.#sink = sink
  }

  buffer(): Uint8Array {
    return this.#window.subarray(this.#filledBytes)
  }

  filled(length: number): boolean {
    let rest = this.buffer().subarray(0, length)
    this.#filledBytes = (this.#filledBytes + length) % WINDOW_BYTES
    let hasRoom = true
    while (rest.length > 0) {
      const memory = this.#sink.buffer()
      const count = Math.min(memory.length, rest.length)
      memory.set(rest.subarray(0, count))
      rest = rest.subarray(count)
      hasRoom = this.#sink.filled(count)
    }
    return hasRoom
  }

  drained(): Promise<void> {
    return this.#sink.drained()
  }
}

/** The sink itself if a lane can fill its memory. */
export function asSharedSink(sink: SharedSink): SharedSink {
  return sink.buffer().buffer instanceof SharedArrayBuffer ? sink : new CopyingSink(sink)
}
