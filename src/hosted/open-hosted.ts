import { SharedLocks } from '../lib/async/shared-locks.ts'
import type { Digest } from '../oci/digest.ts'
import { HostedNames } from '../oci/names/hosted-names.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { HostedBucket } from '../ports/hosted/hosted-bucket.ts'
import type { HostedStore } from '../ports/hosted/hosted-store.ts'
import type { HostedRegistry } from '../ports/hosted.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { Resolver } from '../ports/resolver.ts'
import { BucketImages, sentUploads } from './bucket/bucket-images.ts'
import { BucketResolver } from './bucket/bucket-resolver.ts'
import { CheckedContents } from './bucket/checked-contents.ts'
import { GarbageCollection } from './garbage/garbage-collection.ts'
import type { GarbageStore } from './garbage/garbage-store.ts'
import { Retention, type RetentionRule } from './garbage/retention.ts'
import { HostedImages, linkedUploads } from './hosted-images.ts'
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
  readonly catalog: Catalog
}

/** The hosted repositories of one agent. */
export interface Hosted {
  /** False: the settings name no repository. */
  readonly isServing: boolean
  /** Whether they are in a bucket, so that other agents serve them, too. */
  readonly isShared: boolean
  readonly names: HostedNames
  readonly registry: HostedRegistry
  readonly garbage: GarbageCollection
  /** Says whether tags are removed by rules, so that garbage is collected without being asked to. */
  readonly hasRules: boolean
  isHosted(repository: Repository): boolean
  /** Puts a resolver before `next` that answers for hosted repositories. */
  resolver(next: Resolver): Resolver
  /** Lists hosted repositories that are on this node's disk, and are not served because they were not pushed to the bucket. */
  unserved(): Promise<readonly Repository[]>
  close(): Promise<void>
}

/** What depends on where hosted repositories are. */
interface Place {
  readonly registry: HostedRegistry
  readonly uploads: HostedUploads
  resolver(next: Resolver): Resolver
}

interface PlaceOptions {
  readonly options: HostedOptions
  readonly store: HostedParts
  readonly names: HostedNames
  readonly cached: Pick<LocalContent, 'state'>
  readonly locks: SharedLocks
}

const DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000

/** `cached`: what the cache has under which name. `bucket`: where the repositories are; without one on this node's disk. */
export function openHosted(
  options: HostedOptions,
  store: HostedParts,
  cached: Pick<LocalContent, 'state'>,
  bucket?: HostedBucket,
): Hosted {
  const names = new HostedNames(options.names)
  const locks = new SharedLocks()
  const parts: PlaceOptions = { options, store, names, cached, locks }
  if (bucket !== undefined) assertUsable(options, bucket)
  const { registry, uploads, resolver } = bucket === undefined ? onDisk(parts) : inBucket(bucket, parts)
  const isHosted = (repository: Repository): boolean => names.isHosted(repository)
  const isServing = options.names.length > 0
  return {
    isServing,
    isShared: isServing && bucket !== undefined,
    names,
    registry,
    garbage: garbageOf(options, store, locks),
    hasRules: (options.retention ?? []).length > 0,
    isHosted,
    resolver: (next) => (isServing ? resolver(next) : next),
    unserved: async () =>
      bucket === undefined ? [] : (await store.hosted.catalog.repositories()).filter(isHosted),
    close: () => uploads.close(),
  }
}

function onDisk({ options, store, names, cached, locks }: PlaceOptions): Place {
  const { catalog, uploads: files } = store.hosted
  const isHosted = (repository: Repository): boolean => names.isHosted(repository)
  const uploads = new HostedUploads(files, linkedUploads(locks))
  const youngLinks = new YoungLinks(catalog, locks, options.graceMs ?? DEFAULT_GRACE_MS)
  const referrersOf = (subject: Digest): Promise<readonly Digest[]> => store.referrersOf(subject)
  return {
    uploads,
    registry: new HostedImages({ store: store.hosted, uploads, isHosted, cached, locks }),
    resolver: (next) =>
      new HostedResolver({ store: store.blobs, referrersOf, catalog, isHosted, youngLinks }, next),
  }
}

function inBucket(bucket: HostedBucket, { store, names, cached }: PlaceOptions): Place {
  const { blobs, catalog } = store
  const isHosted = (repository: Repository): boolean => names.isHosted(repository)
  const hasHosted = (registry: string): boolean => names.hasRegistry(registry)
  const checked = new CheckedContents(bucket)
  const uploads = new HostedUploads(store.hosted.uploads, sentUploads({ bucket, blobs, checked }))
  return {
    uploads,
    registry: new BucketImages({ bucket, checked, uploads, isHosted, blobs, catalog, cached }),
    resolver: (next) => new BucketResolver({ bucket, checked, catalog, isHosted, hasHosted }, next),
  }
}

/** Throws unless all that the settings host can be in the bucket. */
function assertUsable({ names, retention = [] }: HostedOptions, { registry, name }: HostedBucket): void {
  const other = names.find(
    (pattern) => registry !== undefined && !new HostedNames([pattern]).hasRegistry(registry),
  )
  if (other !== undefined) {
    throw new Error(
      `${name} has only repositories of ${registry} (objectStore.registry), so ${other} cannot be hosted in it: remove objectStore.registry, or host repositories of ${registry} only`,
    )
  }
  if (retention.length === 0) return
  throw new Error(
    'hostedRetention is for images on the disk of one node: with objectStore.hosted, say in objectStore.expire which tags stay, and run `agent gc --object-store`',
  )
}

/** Collects the garbage of a store that no agent serves, unless `locks` are those of one. */
export function garbageOf(
  { graceMs = DEFAULT_GRACE_MS, retention = [] }: Omit<HostedOptions, 'names'>,
  store: GarbageStore,
  locks = new SharedLocks(),
): GarbageCollection {
  return new GarbageCollection(store, locks, new Retention(retention, graceMs))
}
