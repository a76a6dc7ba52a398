import type { Digest } from '../../oci/digest.ts'
import { OriginLog } from '../content/origin-log.ts'
import type { ImageJob } from './image-job.ts'

export interface ResolvedImage {
  readonly digest: Digest
  /** Whether upstream could not be asked, so that the digest is what the tag referred to before. */
  readonly isStale: boolean
}

/** Resolves the reference of the request. For a tag, the manifest is stored and counted among the parts. */
export async function resolveImage({
  target,
  loader,
  parts,
  request,
  signal,
  patience,
}: ImageJob): Promise<ResolvedImage> {
  const { repository, tag, digest: requested } = request.reference
  if (requested !== undefined) return { digest: requested, isStale: false }
  if (tag === undefined) throw new Error('the reference has neither a tag nor a digest')
  const before = await target.tag(repository, tag)
  const wasStored = before !== undefined && (await target.stored(before.digest)) !== undefined
  const origins = new OriginLog()
  const { digest, bytes, cacheResult } = await loader
    .manifest(repository, { tag }, { signal, patience })
    .finally(() => origins.close())
  parts.add(digest, bytes.length)
  const isSame = wasStored && before.digest === digest
  // Without a flight, the manifest came with upstream's answer about the tag.
  if (!isSame) parts.setOrigin(digest, origins.originOf(digest) ?? 'upstream')
  parts.markStored(digest, { wasStored: isSame })
  return { digest, isStale: cacheResult.kind === 'stale-if-error' }
}
