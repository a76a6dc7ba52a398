import type { Repository } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import { PUSHED } from '../../ports/hosted/hosted-store.ts'
import type { CheckedManifest } from '../manifests/manifest-check.ts'

/**
 * Stores a pushed manifest as cached content, so that this node and its peers need not read it from the bucket. When it cannot be
 * stored, or is being fetched just now, the bucket has it all the same.
 */
export async function storeManifest(
  store: Pick<BlobStore, 'begin' | 'facts'>,
  repository: Repository,
  { digest, mediaType, references, subject }: CheckedManifest,
  bytes: Uint8Array,
): Promise<void> {
  try {
    if ((await store.facts(digest)) !== undefined) return
    const incoming = await store.begin({ kind: 'manifest', repository, digest })
    try {
      // An earlier attempt may have left some of the bytes.
      for (let at = incoming.position; at < bytes.length; at = incoming.position) {
        if (!(await incoming.reserve(bytes.length))) return
        const room = incoming.buffer()
        const part = bytes.subarray(at, at + room.length)
        room.set(part)
        if (!incoming.filled(part.length)) await incoming.drained()
      }
      if ((await incoming.digest()) !== digest) return await incoming.restart()
      await incoming.commit({ mediaType, origin: PUSHED, references, subject })
    } finally {
      await incoming.close()
    }
  } catch {
    // The next request for the manifest reads it from the bucket.
  }
}
