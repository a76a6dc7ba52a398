import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { addReferrers, descriptorsIn } from '../../oci/referrers.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import { type CachedList, type Catalog, importedTopic } from '../../ports/catalog.ts'
import { readStoredManifest } from '../../sources/docker/stored-manifest.ts'

/** Adds a tag to those that are listed beside the tags that upstream lists. */
export async function rememberTagInList(
  catalog: Pick<Catalog, 'cachedList' | 'rememberList'>,
  repository: Repository,
  tag: string,
): Promise<void> {
  const topic = importedTopic('tags')
  const known = await catalog.cachedList(repository, topic)
  const tags = known === undefined ? [] : Buffer.from(known.body).toString().split('\n')
  if (tags.includes(tag)) return
  const all = [...tags.filter((one) => one !== ''), tag].sort()
  await catalog.rememberList(repository, topic, importedList(Buffer.from(all.join('\n'))))
}

/** Adds stored artifacts to the referrers that are listed beside those that upstream lists. */
export async function rememberReferrers(
  { blobs, catalog }: { readonly blobs: Pick<BlobStore, 'facts' | 'open'>; readonly catalog: Catalog },
  repository: Repository,
  referrers: readonly Digest[],
): Promise<void> {
  for (const digest of referrers) {
    const stored = await readStoredManifest(blobs, digest)
    const subject = stored?.manifest.subject
    if (stored === undefined || subject === undefined) continue
    const { bytes, manifest, mediaType } = stored
    const topic = importedTopic(`referrers/${subject.digest}`)
    const list = await catalog.cachedList(repository, topic)
    const before = list?.body ?? new Uint8Array()
    if (descriptorsIn(before).some((one) => one.digest === digest)) continue
    const artifactType = manifest.artifactType ?? manifest.config?.mediaType
    const { annotations } = manifest
    const added = { mediaType, digest, size: bytes.length, artifactType, annotations }
    await catalog.rememberList(repository, topic, importedList(addReferrers(before, [added])))
  }
}

function importedList(body: Uint8Array): CachedList {
  return { body, checkedAt: Date.now() }
}
