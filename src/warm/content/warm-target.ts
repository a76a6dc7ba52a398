import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/resolver.ts'

/** What warming needs of the node that it warms. */
export interface WarmTarget {
  readonly resolver: Resolver
  /** The registry of a reference that names none. */
  readonly defaultNamespace: string
  allowed(repository: Repository): boolean
  /** Undefined if the content is not stored. Stored content is verified. */
  stored(digest: Digest): Promise<{ readonly size: number } | undefined>
  /** The flight of the digest that is under way. */
  flight(
    digest: Digest,
  ): { readonly position: number; readonly source: { readonly kind: Origin } | undefined } | undefined
  /** Removes the manifest from the cache in memory, so that it is answered from the store from now on. */
  forget(digest: Digest): void
  /** What the node knows of a tag, without asking upstream. */
  tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined>
  tagTtlMs(repository: Repository): number
  /** How many bytes may be stored; undefined without a limit, or while it is unknown. */
  limitBytes(): number | undefined
  /** The pin is durable when the promise resolves. */
  pin(digest: Digest, name: string): Promise<void>
  /** Ends the pin that was set by this name. */
  unpin(digest: Digest, name: string): Promise<void>
}

/** The kind of source that content comes from. */
export type Origin = 'peer' | 'object-store' | 'upstream'

/** What an origin is called in reports. */
export type OriginKey = 'peer' | 'objectStore' | 'upstream'

export function originKey(origin: Origin): OriginKey {
  return origin === 'object-store' ? 'objectStore' : origin
}
