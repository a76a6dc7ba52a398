import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Content } from './content.ts'
import type { Want } from './source.ts'

/** What this node has of one content. */
export interface Holding {
  readonly whole: boolean
  /** So many bytes from the start may be passed on now. */
  readonly position: number
  /** undefined while nobody has said it yet. */
  readonly size: number | undefined
  readonly mediaType: string | undefined
}

/** What others ask for: under the name of a repository, or, for people who look at this node, under any. */
export interface Named {
  readonly digest: Digest
  readonly repository: Repository | undefined
}

/**
 * What this node has and is getting, for others to take it from here while it comes. What is not known to be in the repository
 * named is not here for them; upstream is asked about that only by `confirm` and `fetch`.
 */
export interface Holdings {
  look(named: Named): Promise<Holding | undefined>
  /** What is stored, or the transfer under way, followed from its start; never begins one. undefined when there is neither. */
  open(named: Named, options: { signal: AbortSignal }): Promise<Content | undefined>
  /** Where it is here, but not known to be in that repository, upstream is asked whether it is. Throws a `Failure` unless it is. */
  confirm(want: Want): Promise<void>
  /** Its marks from number `first` on, as far as they can be relied on; undefined when it is not here, or nobody has kept them. */
  marks(digest: Digest, first?: number): Promise<Uint8Array | undefined>
  /** Sees to it that it comes here, or is known to be in that repository, for nobody in particular. Resolves when it has; rejects with the `Failure` it ended with. */
  fetch(want: Want): Promise<void>
  /**
   * `listener` is called when there may be more or less of it than before, and at the end of each transfer, also of those
   * that begin later. Gives back what ends that.
   */
  watch(digest: Digest, listener: () => void): () => void
}
