import { SharedLocks } from '../lib/async/shared-locks.ts'
import type { Digest } from '../oci/digest.ts'
import { HostedNames } from '../oci/names/hosted-names.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { HostedStore } from '../ports/hosted/hosted-store.ts'
import type { HostedRegistry } from '../ports/hosted.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { Resolver } from '../ports/resolver.ts'
import { HostedImages } from './hosted-images.ts'
import { HostedResolver } from './hosted-resolver.ts'
import { HostedUploads } from './uploads/hosted-uploads.ts'
import { YoungLinks } from './young-links.ts'

/** What is hosted, as the settings say. */
export interface HostedOptions {
  /** Patterns of the repositories that take pushes, such as `team/**`. */
  readonly names: readonly string[]
  /** How long content that no tag needs stays; default 24 hours. */
  readonly graceMs?: number
}

/** The store of hosted images. */
export interface HostedParts {
  readonly blobs: BlobStore
  readonly hosted: HostedStore
  referrersOf(subject: Digest): Promise<readonly Digest[]>
}

/** The hosted repositories of one agent. */
export interface Hosted {
  readonly names: HostedNames
  readonly registry: HostedRegistry
  /** Puts a resolver before `next` that answers for hosted repositories. */
  resolver(next: Resolver): Resolver
  close(): Promise<void>
}

const DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000

/** `cached`: what the cache has under which name. */
export function openHosted(
  { names: patterns, graceMs = DEFAULT_GRACE_MS }: HostedOptions,
  { blobs, hosted: store, referrersOf }: HostedParts,
  cached: Pick<LocalContent, 'state'>,
): Hosted {
  const names = new HostedNames(patterns)
  const isHosted = names.isHosted.bind(names)
  const locks = new SharedLocks()
  const uploads = new HostedUploads(store.uploads, locks)
  const youngLinks = new YoungLinks(store.catalog, locks, graceMs)
  const { catalog } = store
  return {
    names,
    registry: new HostedImages({ store, uploads, isHosted, cached, locks }),
    resolver: (next) =>
      new HostedResolver({ store: blobs, referrersOf, catalog, isHosted, youngLinks }, next),
    close: () => uploads.close(),
  }
}
