import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { StatusReport } from '../../schemas/report.ts'

/** All times in milliseconds since the epoch. */
export interface BlobView {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly mediaType: string | undefined
  readonly storedAt: number
  readonly lastUsedAt: number
  readonly origin: string
}

export interface TagView {
  readonly repository: Repository
  readonly tag: string
  readonly digest: Digest
  readonly checkedAt: number
}

/** How the look at everything stored is doing. */
export interface ScrubView {
  /** What it may read; 0: only `agent verify` looks. */
  readonly bytesPerSecond: number
  readonly isVerifying: boolean
  readonly isUnderWay: boolean
  /** Rotten blobs in the round under way. */
  readonly found: number
  readonly lastRound: { readonly endedAt: number; readonly found: number } | undefined
}

/** What is kept on the disk. Looking at it marks nothing as used. */
export interface ContentView {
  facts(digest: Digest): Promise<BlobView | undefined>
  /** The bytes of a stored manifest. */
  manifest(digest: Digest): Promise<Uint8Array | undefined>
  /** What this manifest needs to be whole, and may be missing. */
  references(manifest: Digest): Promise<readonly Digest[]>
  /** What was pinned; what a pinned manifest needs is pinned with it. */
  pins(): AsyncIterable<{ readonly digest: Digest; readonly pinnedAt: number }>
  /** In the order of their digests. */
  blobs(): AsyncIterable<BlobView>
  /** In the order of `registry/name`, then of the tag. */
  tags(): AsyncIterable<TagView>
}

export interface FlightView {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  readonly startedAt: number
  readonly position: number
  /** undefined until a source has told. */
  readonly size: number | undefined
  /** Requests that follow it now. */
  readonly waiters: number
  /** Who is being asked. */
  readonly source: string | undefined
}

/** An agent of the swarm, this one or another; its peers reach it at `address`. */
export interface PeerPlace {
  readonly name: string
  readonly address: string
  readonly zone: string | undefined
}

export interface PeerView extends PeerPlace {
  readonly id: string
  readonly version: string
  /** It speaks as this node does. */
  readonly isUnderstood: boolean
  /** To how many peers it gives content, as it said last, rounded down to a power of two. */
  readonly load: number
  readonly since: number
  /** Bytes that it has given to this node, and was given by it, since then. */
  readonly taken: number
  readonly given: number
}

export interface PeersView {
  readonly self: PeerPlace
  /** Who else is there. */
  readonly members: readonly PeerView[]
}

/** Who says who takes a content from whom, or what a tag is. */
export interface OwnerView {
  readonly name: string
  readonly isSelf: boolean
}

export interface HoldersView {
  readonly owner: OwnerView
  /** So many others were asked whether they have it. */
  readonly asked: number
  readonly answered: number
  /** Who has some of it, and how much from its start. */
  readonly holders: readonly (PeerPlace & { readonly position: number; readonly isWhole: boolean })[]
}

/** What can be seen of a running node, for those who ask how it is doing. */
export interface NodeView extends ContentView {
  readonly version: string
  readonly startedAt: number
  /** Folder of the data. */
  readonly data: string
  /** What a reference without a registry means. */
  readonly defaultNamespace: string
  /** `registry` is undefined until clients are answered. */
  addresses(): { readonly registry: string | undefined; readonly admin: string | undefined }
  /** `limitBytes` is the high-water mark in bytes; undefined while it is not known. */
  store(): {
    readonly blobs: number
    readonly bytes: number
    readonly limitBytes: number | undefined
    readonly evictedBytes: number
  }
  /** What clients of the registry API hold now. */
  clients(): StatusReport['clients']
  scrub(): Promise<ScrubView>
  /** Each a sentence about what keeps this node from serving; none when it is ready. */
  unready(): readonly string[]
  flights(): readonly FlightView[]
  flight(digest: Digest): FlightView | undefined
  tag(repository: Repository, tag: string): Promise<TagView | undefined>
  /** Repositories in which this digest was asked for. */
  seenIn(digest: Digest): Promise<readonly Repository[]>
  freshness(repository: Repository): { readonly tagTtlMs: number; readonly staleIfErrorMs: number }
  /** Hosts that would be asked, in order; empty when the repository is not allowed. */
  hosts(repository: Repository): readonly string[]
  allowed(repository: Repository): boolean
  /** undefined while it is not one of a swarm. */
  peers(): PeersView | undefined
  /** Asks them, within a second. undefined when there is nobody to be asked. */
  whoHas(digest: Digest): Promise<HoldersView | undefined>
  /** undefined when there is nobody to be asked. */
  tagOwner(repository: Repository, tag: string): OwnerView | undefined
}
