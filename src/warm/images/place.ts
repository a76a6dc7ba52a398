import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/resolver.ts'

/** As much of a node as it takes to warm it. */
export interface Place {
  readonly resolver: Resolver
  /** What a reference without a registry means. */
  readonly defaultNamespace: string
  allowed(repository: Repository): boolean
  /** Undefined: it is not stored. What is was verified before. */
  stored(digest: Digest): Promise<{ readonly size: number } | undefined>
  /** The transfer of it that is under way. */
  coming(
    digest: Digest,
  ): { readonly position: number; readonly source: { readonly kind: Origin } | undefined } | undefined
  /** It is answered from the store from now on, and no longer from memory. */
  forget(digest: Digest): void
  /** What is known of a tag, without asking for it. */
  tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined>
  tagTtlMs(repository: Repository): number
  /** How much may be kept; undefined without a limit, or while it is not known. */
  limitBytes(): number | undefined
  /** Durable when it resolves. */
  pin(digest: Digest): Promise<void>
  unpin(digest: Digest): Promise<void>
}

export type Origin = 'peer' | 'upstream'
