import type { Digest } from '../../oci/digest.ts'
import type { Content } from '../../ports/content.ts'
import type { Flight } from './flight.ts'
import type { KnownHead, Reader } from './readers/readers.ts'

/** Joins a flight as a reader, from byte 0 and at a pace of one's own, as soon as its size is known. */
export async function followFlight(flight: Flight, options: { signal: AbortSignal }): Promise<Content> {
  const reader = flight.readers.join()
  try {
    const told = await flight.readers.head(reader, options)
    return new FollowedContent(flight, reader, told)
  } catch (error) {
    await leave(flight, reader)
    throw error
  }
}

class FollowedContent implements Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly #flight: Flight
  readonly #reader: Reader
  readonly #reading = new Set<Promise<number>>()

  constructor(flight: Flight, reader: Reader, told: KnownHead) {
    this.digest = flight.want.digest
    this.size = told.size
    this.mediaType = told.mediaType
    this.#flight = flight
    this.#reader = reader
  }

  readable(offset: number, options: { signal: AbortSignal }): number | Promise<number> {
    return this.#flight.readers.readable(this.#reader, offset, options.signal)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#reader.dismissed !== undefined) throw this.#reader.dismissed
    const reading = this.#flight.read(target, position)
    this.#reading.add(reading)
    try {
      const length = await reading
      // Begun anew under the read: these may be bytes of either beginning.
      if (this.#reader.dismissed !== undefined) throw this.#reader.dismissed
      return length
    } finally {
      this.#reading.delete(reading)
    }
  }

  async close(): Promise<void> {
    // The file must not be closed, and its number given to another, under a read that is still going on.
    await Promise.allSettled(this.#reading)
    await leave(this.#flight, this.#reader)
  }
}

async function leave(flight: Flight, reader: Reader): Promise<void> {
  flight.readers.leave(reader)
  await flight.closeIfUnread()
}
