import type { Digest } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'

/**
 * The bytes under a digest, opened for reading. A reader need not know whether they come from a stored file or from one
 * that still grows. The receiver of a content closes it.
 */
export interface Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  /**
   * Gives the position up to which bytes from `offset` on may be read, once it is more than `offset` (or the size). Rejects with
   * a `Failure` when the bytes will not come. Gives a number rather than a promise when the bytes can be read already, which
   * saves a turn of the event loop for each chunk of a stored blob.
   */
  readable(offset: number, options: { signal: AbortSignal }): number | Promise<number>
  /** Fills `target` with the bytes from `position` on and gives how many it has read. Stays within what `readable` gave. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Says that only these ranges will be read, so that they may come before the rest. To be called before `readable`. */
  willRead?(ranges: readonly ByteRange[]): void
  close(): Promise<void>
}
