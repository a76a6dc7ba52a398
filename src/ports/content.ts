import type { Digest } from '../oci/digest.ts'

/**
 * The bytes under a digest, opened for reading. A reader need not know whether they come from a stored file or from one
 * that still grows. The receiver of a content closes it.
 */
export interface Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  /**
   * Gives how many bytes from the start may be read, once there are more than `offset` (or all of them). Rejects with a
   * `Failure` when the bytes will not come. Gives a number rather than a promise when the bytes can be read already, which
   * saves a turn of the event loop for each chunk of a stored blob.
   */
  readable(offset: number, options: { signal: AbortSignal }): number | Promise<number>
  /** Fills `target` with the bytes from `position` on and gives how many it has read. Stays within what `readable` gave. */
  read(target: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}
