import type { Digest } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { BlobReport, ImageReport } from '../../schemas/content-report.ts'
import { rfc3339 } from '../rfc3339.ts'
import { inspectImage } from './image-inspection.ts'
import { pinnedBy, SharedParts } from './sharing.ts'
import type { BlobView, ContentView, TagView } from './view.ts'

/** How many images `sharesWith` names; hundreds of images may share a base layer. */
const MAX_SHARED_WITH = 10

export async function* listBlobs(view: ContentView): AsyncGenerator<BlobReport> {
  const pinned = await pinnedBy(view)
  for await (const blob of view.blobs()) {
    yield { digest: blob.digest, ...blobFacts(blob), pinned: pinned.has(blob.digest) }
  }
}

export async function* listImages(view: ContentView): AsyncGenerator<ImageReport> {
  const [pinned, sharing] = [await pinnedBy(view), await SharedParts.of(view)]
  const pinNames = new Map<Digest, readonly string[]>()
  for await (const { digest, names } of view.pins()) pinNames.set(digest, names)
  for await (const tag of view.tags()) {
    const { repository, digest, checkedAt, importedAt, isHosted } = tag
    yield {
      repository: repositoryKey(repository),
      tag: tag.tag,
      digest,
      checkedAt: rfc3339(checkedAt),
      ...(importedAt === undefined ? {} : { importedAt: rfc3339(importedAt) }),
      ...(isHosted === undefined ? {} : { hosted: true }),
      ...(await inspect(view, tag, sharing)),
      pinned: pinned.has(digest),
      pinnedBy: [...(pinNames.get(digest) ?? [])].slice(0, MAX_SHARED_WITH),
    }
  }
}

export function blobFacts(blob: BlobView): Omit<BlobReport, 'digest' | 'pinned'> {
  return {
    size: blob.size,
    kind: blob.kind,
    mediaType: blob.mediaType ?? null,
    storedAt: rfc3339(blob.storedAt),
    lastUsedAt: rfc3339(blob.lastUsedAt),
    origin: blob.origin,
  }
}

type ImageState = Omit<
  ImageReport,
  'repository' | 'tag' | 'digest' | 'checkedAt' | 'importedAt' | 'hosted' | 'pinned' | 'pinnedBy'
>

async function inspect(view: ContentView, tag: TagView, sharing: SharedParts): Promise<ImageState> {
  const bytes = { unique: 0, shared: 0 }
  const sharesWith = new Set<string>()
  let lastUsedAt: number | undefined
  const { state, platforms } = await inspectImage(view, tag.digest, (part) => {
    const { isShared, others } = sharing.othersWith(part.digest, tag)
    bytes[isShared ? 'shared' : 'unique'] += part.size
    for (const other of others) if (sharesWith.size < MAX_SHARED_WITH) sharesWith.add(other)
    // A layer may have been used for another image, so only manifests count.
    if (part.kind === 'manifest') lastUsedAt = Math.max(lastUsedAt ?? 0, part.lastUsedAt)
  })
  return {
    bytesHere: bytes.unique + bytes.shared,
    uniqueBytes: bytes.unique,
    sharedBytes: bytes.shared,
    sharesWith: [...sharesWith].sort(),
    lastUsedAt: lastUsedAt === undefined ? null : rfc3339(lastUsedAt),
    state,
    platforms,
  }
}
