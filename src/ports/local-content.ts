import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Content } from './content.ts'
import type { Want } from './source.ts'

/** How much of one content this node has. */
export interface LocalState {
  readonly isComplete: boolean
  /** How many bytes from the start may be passed on now. */
  readonly availableBytes: number
  /** Undefined while no source has said the size. */
  readonly size: number | undefined
  readonly mediaType: string | undefined
}

/** A digest in a repository; or in any repository, where an operator asks. */
export interface ContentName {
  readonly digest: Digest
  readonly repository: Repository | undefined
}

/**
 * The content that is in the store or in a flight on this node, for peers to take. For a peer, a digest that is no known
 * name in the requested repository does not exist. Only `confirm` and `fetch` ask upstream whether it is a known name.
 */
export interface LocalContent {
  /** Gives how much of the content this node has; undefined when it has nothing of it. */
  state(name: ContentName): Promise<LocalState | undefined>
  /** Opens what is stored, or follows the flight from its start. Never begins a flight; undefined when there is neither. */
  open(name: ContentName, options: { signal: AbortSignal }): Promise<Content | undefined>
  /**
   * Asks upstream whether a digest of this node is in the repository, unless that is known. Rejects with a `Failure` if
   * it is not.
   */
  confirm(want: Want): Promise<void>
  /**
   * Gives the checkpoints from number `first` on, as far as the bytes can be relied on; undefined when this node does not
   * have the content, or has no checkpoints of it.
   */
  checkpoints(digest: Digest, first?: number): Promise<Uint8Array | undefined>
  /**
   * Fetches the content and makes it a known name, without a reader. Resolves when both are done; rejects with the
   * `Failure` that has ended the flight.
   */
  fetch(want: Want): Promise<void>
  /**
   * Calls `listener` when the content may have grown or shrunk, and at the end of each of its flights, including flights
   * that begin later. Gives back the function that ends this.
   */
  watch(digest: Digest, listener: () => void): () => void
}
