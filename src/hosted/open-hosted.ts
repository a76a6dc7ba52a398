import { SharedLocks } from '../lib/async/shared-locks.ts'
import { HostedNames } from '../oci/names/hosted-names.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { HostedStore } from '../ports/hosted/hosted-store.ts'
import type { HostedRegistry } from '../ports/hosted.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { Resolver } from '../ports/resolver.ts'
import { GarbageCollection } from './garbage/garbage-collection.ts'
import type { GarbageStore } from './garbage/garbage-store.ts'
import { Retention, type RetentionRule } from './garbage/retention.ts'
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
  /** Which tags stay; default: all. With rules, the agent collects garbage about once a day. */
  readonly retention?: readonly RetentionRule[]
}

/** The store of hosted images. */
export interface HostedParts extends GarbageStore {
  readonly blobs: BlobStore
  readonly hosted: HostedStore
}

/** The hosted repositories of one agent. */
export interface Hosted {
  /** False: the settings name no repository. */
  readonly isServing: boolean
  readonly names: HostedNames
  readonly registry: HostedRegistry
  readonly garbage: GarbageCollection
  /** Says whether tags are removed by rules, so that garbage is collected without being asked to. */
  readonly hasRules: boolean
  isHosted(repository: Repository): boolean
  /** Puts a resolver before `next` that answers for hosted repositories. */
  resolver(next: Resolver): Resolver
  close(): Promise<void>
}

const DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000

/** `cached`: what the cache has under which name. */
export function openHosted(
  options: HostedOptions,
  store: HostedParts,
  cached: Pick<LocalContent, 'state'>,
): Hosted {
  const { catalog, uploads: files } = store.hosted
  const names = new HostedNames(options.names)
  const isHosted = (repository: Repository): boolean => names.isHosted(repository)
  const locks = new SharedLocks()
  const uploads = new HostedUploads(files, locks)
  const registry = new HostedImages({ store: store.hosted, uploads, isHosted, cached, locks })
  const youngLinks = new YoungLinks(catalog, locks, options.graceMs ?? DEFAULT_GRACE_MS)
  const isServing = options.names.length > 0
  return {
    isServing,
    names,
    registry,
    garbage: garbageOf(options, store, locks),
    hasRules: (options.retention ?? []).length > 0,
    isHosted,
    resolver: (next) =>
      isServing
        ? new HostedResolver(
            {
              store: store.blobs,
              referrersOf: (subject) => store.referrersOf(subject),
              catalog,
              isHosted,
              youngLinks,
            },
            next,
          )
        : next,
    close: () => uploads.close(),
  }
}

/** Collects the garbage of a store that no agent serves, unless `locks` are those of one. */
export function garbageOf(
  { graceMs = DEFAULT_GRACE_MS, retention = [] }: Omit<HostedOptions, 'names'>,
  store: GarbageStore,
  locks = new SharedLocks(),
): GarbageCollection {
  return new GarbageCollection(store, locks, new Retention(retention, graceMs))
}
