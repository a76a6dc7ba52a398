import type { Algorithm, Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Incoming } from './blob-store.ts'

/** What is known of a content before its bytes: everything but its digest. */
export interface UnknownContent {
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  /** The algorithm of the digest under which the content will be stored. */
  readonly algorithm: Algorithm
}

/** A file of another program that may become a stored blob, but no manifest. */
export interface FileToAdopt {
  readonly path: string
  readonly digest: Digest
  /** Who brings the file, as reports show it. */
  readonly origin: string
  readonly repository: Repository
}

/** Takes contents whose digests nobody knows before their last bytes, because another program writes them out. */
export interface ContentReceiver {
  /** `commit` of the result stores the content under the digest of its bytes. What is not committed is removed. */
  receive(content: UnknownContent): Promise<Incoming>
}
