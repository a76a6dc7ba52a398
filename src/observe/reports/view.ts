import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { CopiesReport, ObjectStoreContent } from '../../schemas/object-store-report.ts'
import type {
  AvailabilityReport,
  MemberActivity,
  OwnerReport,
  SwarmReport,
} from '../../schemas/peer-report.ts'
import type { StatusReport } from '../../schemas/status-report.ts'
import type { HistoryView } from '../records/history/history.ts'
import type { SavingsView } from '../records/savings.ts'

/** A stored blob or manifest. Times are in milliseconds since the epoch. */
export interface BlobView {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly mediaType: string | undefined
  readonly storedAt: number
  readonly lastUsedAt: number
  readonly origin: string
}

/** What this node knows of a tag. `checkedAt` is when upstream last confirmed it, or an import set it. */
export interface TagView {
  readonly repository: Repository
  readonly tag: string
  readonly digest: Digest
  readonly checkedAt: number
  /** When an import set the tag. Equal to `checkedAt` until upstream has confirmed it. */
  readonly importedAt?: number
  /** A client has pushed the tag; `checkedAt` says when. */
  readonly isHosted?: true
}

export interface ScrubView {
  /** The limit of the reading rate; 0 turns the scrub off, so that only `agent verify` re-hashes. */
  readonly bytesPerSecond: number
  readonly isVerifying: boolean
  readonly isRunning: boolean
  /** Corrupt blobs that the current round has found. */
  readonly found: number
  readonly lastRound: { readonly endedAt: number; readonly found: number } | undefined
}

/** The stored content. Reading it through this interface marks nothing as used. */
export interface ContentView {
  facts(digest: Digest): Promise<BlobView | undefined>
  /** The bytes of a stored manifest. */
  manifest(digest: Digest): Promise<Uint8Array | undefined>
  /** The digests that this manifest refers to, whether they are stored or not. */
  references(manifest: Digest): Promise<readonly Digest[]>
  /** The pinned digests, without the parts that a pinned manifest protects. */
  pins(): AsyncIterable<{
    readonly digest: Digest
    readonly pinnedAt: number
    readonly names: readonly string[]
  }>
  /** Sorted by digest. */
  blobs(): AsyncIterable<BlobView>
  /** Sorted by `registry/name`, then by tag. */
  tags(): AsyncIterable<TagView>
  /** Clients push to this repository, or have pushed to it. */
  isHosted(repository: Repository): Promise<boolean>
}

export interface FlightView {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  readonly startedAt: number
  readonly position: number
  /** undefined until a source has reported it. */
  readonly size: number | undefined
  /** Requests that read from the flight now. */
  readonly waiters: number
  /** The source that delivers, or is being asked. */
  readonly source: string | undefined
}

/** A file in the quarantine. */
export interface QuarantinedView {
  /** When it was moved there, in milliseconds since the epoch. */
  readonly at: number
  readonly path: string
  readonly bytes: number
}

/** A local source, as it is now. */
export interface SourceView {
  readonly name: string
  /** Neither peers nor upstream are asked for its images. */
  readonly isExclusive: boolean
  /** undefined when the source cannot be read. */
  readonly repositories: number | undefined
  /** Why the source cannot be read, or what it has failed to do; a sentence. */
  readonly problem: string | undefined
  /** Its images that are not served, because an earlier source has others under their names. */
  readonly hidden: readonly {
    readonly image: string
    readonly digest: Digest
    readonly servedBy: string
    readonly servedDigest: Digest
  }[]
  /** Whether its images were all compared with those of the other sources. */
  readonly isCompared: boolean
}

/** A webhook, as it is now. */
export interface WebhookView {
  readonly name: string
  readonly waiting: number
  readonly delivered: number
  readonly dropped: number
  /** Why the last attempt has failed; undefined when it has not. */
  readonly problem: string | undefined
}

/** The object store, as it is now. */
export interface ObjectStoreView {
  readonly name: string
  /** Why it is not asked now. */
  readonly paused: string | undefined
  readonly lastError: { readonly message: string; readonly at: number } | undefined
  readonly uploads: {
    readonly waiting: number
    readonly dropped: number
    /** Why uploads fail now; undefined when they do not. */
    readonly problem: string | undefined
  }
}

/** The copies into one bucket, as they are now. */
export interface CopiesView extends Omit<CopiesReport, 'current' | 'savedCost' | 'problem'> {
  readonly current: { readonly image: string; readonly bytes: number; readonly ofBytes: number } | undefined
  readonly savedCost: number | undefined
  readonly problem: string | undefined
}

/** What the reports read of a running node. */
export interface NodeView extends ContentView {
  readonly version: string
  /** The name of the machine, or of the node in Kubernetes. */
  readonly name: string
  readonly startedAt: number
  readonly data: string
  /** The registry of a reference that names none. */
  readonly defaultNamespace: string
  /** Patterns of the repositories that take pushes. */
  readonly hostedPatterns: readonly string[]
  /** The bucket that has the hosted repositories; undefined: they are on this node's disk. */
  readonly hostedBucket: string | undefined
  /** `registry` is undefined until the registry API listens. */
  addresses(): {
    readonly registry: string | undefined
    readonly admin: string | undefined
    readonly metrics: string | undefined
  }
  /** `limitBytes` is the high-water mark in bytes; undefined while it is not known. */
  store(): {
    readonly blobs: number
    readonly bytes: number
    readonly limitBytes: number | undefined
    readonly evictedBytes: number
    /** What belongs to hosted repositories. */
    readonly hosted: { readonly blobs: number; readonly bytes: number }
  }
  /** What clients of the registry API use of the limited resources now. */
  clients(): StatusReport['clients']
  scrub(): Promise<ScrubView>
  /** Stored bytes that pins protect, without what is hosted. */
  pinnedBytes(): Promise<number>
  /** How many of the images that the settings keep warm are completely stored, and how many are not. */
  warm(): Promise<{ readonly stored: number; readonly missing: number }>
  /** Why this node does not serve yet, each a sentence; empty when it is ready. */
  notReadyReasons(): readonly string[]
  flights(): readonly FlightView[]
  flight(digest: Digest): FlightView | undefined
  tag(repository: Repository, tag: string): Promise<TagView | undefined>
  /** Hosted repositories to which this digest belongs. */
  hostedIn(digest: Digest): Promise<readonly Repository[]>
  /** Repositories in which clients have requested this digest. */
  seenIn(digest: Digest): Promise<readonly Repository[]>
  /** What the quarantine has of bytes that were to have this digest, newest first. */
  quarantined(digest: Digest): Promise<readonly QuarantinedView[]>
  /**
   * The files with credentials and certificates of the repository's registry. They are looked at now, so that `file.checked`
   * is published if one has become unusable.
   */
  registryFiles(repository: Repository): Promise<readonly string[]>
  freshness(repository: Repository): { readonly tagTtlMs: number; readonly staleIfErrorMs: number }
  /** The upstream hosts of a repository in the order in which they are asked; empty when it is not allowed. */
  hosts(repository: Repository): readonly string[]
  isAllowed(repository: Repository): boolean
  /** The local sources, in the order in which they are asked. */
  sources(): Promise<readonly SourceView[]>
  saved(): SavingsView
  history(): { readonly hour: HistoryView; readonly day: HistoryView }
  webhooks(): readonly WebhookView[]
  /** What the agent copies into buckets. */
  copies(): readonly CopiesView[]
  /** undefined without an object store. */
  objectStore(): ObjectStoreView | undefined
  /** Asks the object store, and waits two seconds at most. undefined when it is not asked for contents of the repository. */
  inObjectStore(repository: Repository, digest: Digest): Promise<ObjectStoreContent | undefined>
  /** undefined while this node is in no swarm. */
  peers(): SwarmReport | undefined
  /** Asks other members of the swarm what they do, and waits some seconds at most; empty when this node is in no swarm. */
  askPeers(): Promise<readonly MemberActivity[]>
  /** Asks the peers, and waits a second at most. undefined when this node has no peers. */
  whoHas(digest: Digest): Promise<AvailabilityReport | undefined>
  /** undefined when this node has no peers. */
  tagOwner(repository: Repository, tag: string): OwnerReport | undefined
}
