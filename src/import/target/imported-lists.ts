import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { CachedList, Catalog } from '../../ports/catalog.ts'
import { readStoredManifest } from '../../sources/docker/stored-manifest.ts'

const ListedIndex = v.object({ manifests: v.array(v.looseObject({ digest: v.string() })) })

/** Adds an imported tag to the list of tags that is given while upstream cannot be asked. */
export async function rememberTagInList(
  catalog: Pick<Catalog, 'cachedList' | 'rememberList'>,
  repository: Repository,
  tag: string,
): Promise<void> {
  const known = await catalog.cachedList(repository, 'tags')
  const tags = known === undefined ? [] : Buffer.from(known.body).toString().split('\n')
  if (tags.includes(tag)) return
  const all = [...tags.filter((one) => one !== ''), tag].sort()
  await catalog.rememberList(repository, 'tags', importedList(Buffer.from(all.join('\n'))))
}

/** Adds stored artifacts to the lists of referrers of their subjects. */
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
    const topic = `referrers/${subject.digest}`
    const listed = manifestsIn(await catalog.cachedList(repository, topic))
    if (listed.some((one) => one.digest === digest)) continue
    const artifactType = manifest.artifactType ?? manifest.config?.mediaType
    const { annotations } = manifest
    const added = { mediaType, digest, size: bytes.length, artifactType, annotations }
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...listed, added] }
    await catalog.rememberList(repository, topic, importedList(Buffer.from(JSON.stringify(index))))
  }
}

function manifestsIn(list: CachedList | undefined): readonly { readonly digest: string }[] {
  const parsed = list === undefined ? undefined : v.safeParse(ListedIndex, jsonObject(list.body))
  return parsed?.success === true ? parsed.output.manifests : []
}

/** Upstream is asked before the list counts as confirmed, and its answer replaces the list. */
function importedList(body: Uint8Array): CachedList {
  const now = Date.now()
  return { body, checkedAt: now, importedAt: now }
}
