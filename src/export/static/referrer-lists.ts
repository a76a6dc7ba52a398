import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import { fallbackTagOf } from '../../oci/referrers.ts'
import { readIfThere } from '../targets/oci-folder.ts'
import type { ManifestPart } from '../targets/target.ts'
import { digestOfBytes } from '../targets/verified-bytes.ts'
import { writeSmallFile } from '../targets/whole-file.ts'

// Descriptors that are there already are kept as they are.
const List = v.looseObject({ manifests: v.array(v.looseObject({ digest: v.string() })) })

/**
 * Writes the list of referrers of each subject that these manifests have, as the referrers API and as the fallback tag.
 * `folder` is that of the repository.
 */
export async function writeReferrerLists(folder: string, manifests: readonly ManifestPart[]): Promise<void> {
  const bySubject = new Map<Digest, ManifestPart[]>()
  for (const manifest of manifests) {
    if (manifest.subject === undefined) continue
    bySubject.set(manifest.subject, [...(bySubject.get(manifest.subject) ?? []), manifest])
  }
  for (const [subject, referrers] of bySubject) await writeList(folder, subject, referrers)
}

async function writeList(folder: string, subject: Digest, referrers: readonly ManifestPart[]): Promise<void> {
  const path = join(folder, 'referrers', subject)
  const before = await readIfThere(path)
  const known = v.safeParse(List, before && jsonObject(before))
  const added = new Set(referrers.map(({ digest }) => String(digest)))
  const others = known.success ? known.output.manifests.filter(({ digest }) => !added.has(digest)) : []
  const manifests = [...others, ...referrers.map(descriptorOf)].sort((one, other) =>
    one.digest < other.digest ? -1 : 1,
  )
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  const inManifests = (name: string): string => join(folder, 'manifests', name)
  // Clients that follow the fallback tag ask for the list by its digest.
  await writeSmallFile(inManifests(digestOfBytes(bytes, 'sha256')), bytes)
  await writeSmallFile(inManifests(fallbackTagOf(subject)), bytes)
  await writeSmallFile(path, bytes)
  if (before !== undefined && !before.equals(bytes)) {
    await rm(inManifests(digestOfBytes(before, 'sha256')), { force: true })
  }
}

function descriptorOf({ mediaType, digest, bytes, artifactType, annotations }: ManifestPart) {
  return {
    mediaType,
    digest: String(digest),
    size: bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
}
