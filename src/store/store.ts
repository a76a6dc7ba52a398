import type { DiskLimit } from '../lib/disk-limit.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobFacts, BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Content } from '../ports/content.ts'
import type { ContentReceiver, FileToAdopt } from '../ports/content-receiver.ts'
import type { HostedStore } from '../ports/hosted/hosted-store.ts'
import type { Scrub, Verified, VerifyOptions } from './care/scrub.ts'
import type { QuarantinedFile } from './files/quarantine.ts'
import type { ListedTag } from './index/all-tags.ts'
import type { Pin } from './index/pins.ts'
import type { IndexHistoryLog } from './index/statistics/history-log.ts'
import type { IndexSavingsLedger } from './index/statistics/savings-ledger.ts'
import type { Freed } from './space/budget-types.ts'

/** The verified content of this node, with its index. `openStore` makes it. */
export interface Store {
  readonly blobs: BlobStore
  /** Takes contents of unknown digest. */
  readonly receiver: ContentReceiver
  /**
   * Moves a file into the store without copying it. False: the file cannot be moved. Rejects with a `Failure` if it has
   * another content.
   */
  adoptFile(file: FileToAdopt, options: { signal: AbortSignal }): Promise<boolean>
  readonly catalog: Catalog
  /** What clients have pushed: its links, its tags, and uploads that have not ended. */
  readonly hosted: HostedStore
  /** Resolves when all files that the index did not know have been hashed; until then such a blob is not found. */
  readonly recovered: Promise<void>
  usage(): { readonly bytes: number; readonly blobs: number }
  /** How much of that belongs to hosted repositories. */
  hostedUsage(): { readonly bytes: number; readonly blobs: number }
  /** Stored bytes that pins protect from eviction, without what hosted repositories need. */
  pinnedBytes(): Promise<number>
  /** Gives the high mark, undefined without a limit, and how much was evicted since the start. */
  room(): { readonly limitBytes: number | undefined; readonly evictedBytes: number }
  /** Changes how much the store may hold, and starts an eviction if it holds more; undefined ends the limit. */
  limitTo(maxBytes: DiskLimit | undefined): void
  /** The files in the quarantine whose bytes were to have this digest, newest first. */
  quarantined(digest: Digest): Promise<readonly QuarantinedFile[]>
  /** Opens a blob for reading without marking it as used. */
  peek(digest: Digest): Promise<Content | undefined>
  /**
   * Calls `listener` with each stored blob that is dropped, so that it is forgotten everywhere. Returns the function
   * that ends this.
   */
  onDropped(listener: (digest: Digest) => void): () => void
  /** Evicts now, down to `toBytes`, or else to the low mark. Rejects with the signal's reason. */
  gc(options: { toBytes?: number; signal: AbortSignal }): Promise<Freed>
  /**
   * Protects content from eviction: the blob and, if it is a manifest, all that it references. It need not be stored yet.
   * The pin is durable when the call resolves. `name`: by which name, such as `docker.io/library/alpine:3`, it is set;
   * without one it is set by the digest.
   */
  pin(digest: Digest, name?: string): Promise<void>
  /** Ends the pin for a name; without one, for all. */
  unpin(digest: Digest, name?: string): Promise<void>
  isPinned(digest: Digest): Promise<boolean>
  /** All pins, in the order of digests. */
  pins(): AsyncIterable<Pin>
  /** The pins that protect a blob: on the blob itself, and on manifests that need it. */
  pinsOf(digest: Digest): Promise<readonly Digest[]>
  /** Drops a blob, also while it is open. False: it is not stored, or a pin or a link protects it. */
  remove(digest: Digest): Promise<boolean>
  /** How many stored blobs are open. */
  openBlobs(): number
  /** The scrub, which runs while no request needs the disk, once it is started. */
  readonly scrub: Pick<Scrub, 'start' | 'state'>
  /** Hashes everything stored again. Rotted blobs go to the quarantine, and are fetched again at the next request. */
  verify(options: VerifyOptions): AsyncIterable<Verified>
  list(): AsyncIterable<BlobFacts>
  /** Known and hosted tags of one repository, or of all. */
  tags(repository?: Repository): AsyncIterable<ListedTag>
  /** The repositories under which this node may serve the content. */
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  /** How many bytes did not have to come from upstream, by day and image. */
  readonly savings: Pick<IndexSavingsLedger, 'add' | 'entries'>
  /** What this node has done in the last day. */
  readonly history: Pick<IndexHistoryLog, 'write' | 'entries'>
  /** Notes that a client has used a manifest. False: one has used it before, since it was stored. */
  markUsed(digest: Digest): Promise<boolean>
  /** All digests that a stored manifest references. */
  references(manifest: Digest): Promise<readonly Digest[]>
  /** Stored manifests whose subject is `subject`. */
  referrersOf(subject: Digest): Promise<readonly Digest[]>
  /** Closes all files and the index. The bytes of an incoming content stay as a partial for a later attempt. */
  close(): Promise<void>
}
