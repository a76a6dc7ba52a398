import { RefusedRequest } from '../../answer/respond.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import type { BodySink } from '../../exchange/request-body.ts'
import type { PushResources } from './push-context.ts'
import { receiveWithSlot } from './receive-with-slot.ts'

/** A body of more bytes, or of unknown size, needs one of the few slots for large ones. */
const SMALL_BYTES = 64 * 1024

/** Receives a body into memory. Refuses one of more than `maxBytes` with 413. */
export async function receiveWholeBody(
  exchange: HttpExchange,
  maxBytes: number,
  { slots, largeManifestSlots, bodyStallMs: stallMs }: PushResources,
): Promise<Uint8Array> {
  const { length } = exchange.body
  if (length !== undefined && length > maxBytes) throw tooLarge(maxBytes)
  const isSmall = length !== undefined && length <= SMALL_BYTES
  return receiveWithSlot(
    exchange,
    { slots: isSmall ? slots : largeManifestSlots, stallMs },
    async (receive) => {
      const memory = new GrowingMemory(length ?? SMALL_BYTES, maxBytes)
      await receive(memory)
      return memory.bytes()
    },
  )
}

/** Doubles until `maxBytes`. */
class GrowingMemory implements BodySink {
  readonly #maxBytes: number
  #memory: Uint8Array
  #length = 0

  constructor(size: number, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#memory = new Uint8Array(size)
  }

  bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length)
  }

  buffer(): Uint8Array {
    if (this.#length === this.#memory.length) this.#grow()
    return this.#memory.subarray(this.#length)
  }

  filled(length: number): boolean {
    this.#length += length
    return true
  }

  async drained(): Promise<void> {}

  #grow(): void {
    if (this.#length >= this.#maxBytes) throw tooLarge(this.#maxBytes)
    const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(1024, 2 * this.#length)))
    grown.set(this.#memory)
    this.#memory = grown
  }
}

function tooLarge(maxBytes: number): RefusedRequest {
  const message = `the manifest is larger than ${maxBytes / (1024 * 1024)} MiB, which is the most that this agent accepts`
  return new RefusedRequest({ status: 413, code: 'SIZE_INVALID', message })
}
