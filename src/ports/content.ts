import type { Digest } from '../oci/digest.ts'

/**
 * Bytes under a digest that are here, or on their way here: a stored file and a growing one look alike to a reader.
 * Whoever is given one closes it.
 */
export interface Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  /**
   * How many bytes from the start may be read, once that is more than `offset` (or all there is). Rejects with a
   * `Failure` when they will not come. Answers at once, without a promise, when they are here already.
   */
  readable(offset: number, options: { signal: AbortSignal }): number | Promise<number>
  /** Fills `target` from `position`; gives how many bytes it read. Only within what `readable` allowed. */
  read(target: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}
