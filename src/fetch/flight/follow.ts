import type { Digest } from '../../oci/digest.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { Content } from '../../ports/content.ts'
import type { Flight } from './flight.ts'
import type { KnownHead, Reader } from './readers/readers.ts'

/** Joins a flight as a reader, from byte 0 and at its own pace. Resolves when the size is known. */
export async function followFlight(
  flight: Flight,
  options: { signal: AbortSignal; isForParts?: boolean },
): Promise<Content> {
  const reader = flight.readers.join(options)
  try {
    const head = await flight.readers.head(reader, options)
    return new FollowedContent(flight, reader, head)
  } catch (error) {
    await flight.leave(reader)
    throw error
  }
}

class FollowedContent implements Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly #flight: Flight
  readonly #reader: Reader
  readonly #reads = new Set<Promise<number>>()
  readonly #closing = new AbortController()

  constructor(flight: Flight, reader: Reader, { size, mediaType }: KnownHead) {
    this.digest = flight.want.digest
    this.size = size
    this.mediaType = mediaType
    this.#flight = flight
    this.#reader = reader
  }

  willRead(ranges: readonly ByteRange[]): void {
    if (this.#reader.isForParts && !this.#flight.wantParts(this.#reader, ranges))
      this.#flight.readers.wantsAll(this.#reader)
  }

  readable(offset: number, options: { signal: AbortSignal }): number | Promise<number> {
    return this.#flight.readers.readable(this.#reader, offset, options.signal)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const read = this.#read(target, position)
    this.#reads.add(read)
    try {
      return await read
    } finally {
      this.#reads.delete(read)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    // If the file were closed under a read, the read could get bytes of another file with the same descriptor.
    await Promise.allSettled(this.#reads)
    await this.#flight.leave(this.#reader)
  }

  async #read(target: Uint8Array, position: number): Promise<number> {
    for (;;) {
      if (this.#reader.dismissed !== undefined) throw this.#reader.dismissed
      const length = await this.#flight.read(target, position)
      // If the flight began again during the read, these may be bytes from before or after that.
      if (this.#reader.dismissed !== undefined) throw this.#reader.dismissed
      if (length !== undefined) return length
      await this.readable(position, this.#closing)
    }
  }
}
