import type { Digest } from '../oci/digest.ts'
import { childrenOf, type Manifest, type Platform, parseManifest } from '../oci/manifest.ts'
import { repositoryKey } from '../oci/repository.ts'
import type { BlobReport, ImageReport } from './report.ts'
import type { BlobView, ContentView, TagView } from './view.ts'

/** A manifest may name tens of thousands of parts; nobody waits for a look at each. */
const MOST_PARTS = 2000

export async function* listBlobs(view: ContentView): AsyncGenerator<BlobReport> {
  for await (const blob of view.blobs()) yield blobReport(blob)
}

export async function* listImages(view: ContentView): AsyncGenerator<ImageReport> {
  for await (const tag of view.tags()) yield await imageReport(view, tag)
}

export function blobReport(blob: BlobView): BlobReport {
  return {
    digest: blob.digest,
    size: blob.size,
    kind: blob.kind,
    mediaType: blob.mediaType ?? null,
    storedAt: rfc3339(blob.storedAt),
    lastUsedAt: rfc3339(blob.lastUsedAt),
    origin: blob.origin,
  }
}

/** A clock may have been anywhere when this was written; no date may break a report. */
export function rfc3339(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString()
}

export function platformText(platform: Platform | undefined): string | undefined {
  if (platform === undefined || platform.os === '') return undefined
  const { os, architecture, variant } = platform
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

/** The manifest under this digest, if it is here and can be read. */
export async function readManifest(view: ContentView, digest: Digest): Promise<Manifest | undefined> {
  const bytes = await view.manifest(digest)
  const manifest = bytes === undefined ? undefined : parseManifest(bytes)
  return manifest?.ok === true ? manifest.value : undefined
}

async function imageReport(view: ContentView, tag: TagView): Promise<ImageReport> {
  const { bytesHere, state, platforms } = await inspect(view, tag.digest)
  return {
    repository: repositoryKey(tag.repository),
    tag: tag.tag,
    digest: tag.digest,
    checkedAt: rfc3339(tag.checkedAt),
    bytesHere,
    state,
    platforms,
  }
}

type Inspection = Pick<ImageReport, 'bytesHere' | 'state' | 'platforms'>

/** An index counts as whole when it can be pulled for at least one platform: nobody stores all of them. */
async function inspect(view: ContentView, digest: Digest): Promise<Inspection> {
  const counted = new Set<Digest>()
  let bytesHere = 0
  const here = async (part: Digest): Promise<boolean> => {
    const facts = await view.facts(part)
    if (facts !== undefined && !counted.has(part)) bytesHere += facts.size
    if (facts !== undefined) counted.add(part)
    return facts !== undefined
  }
  const wholeImage = async (manifest: Manifest): Promise<boolean> => {
    let whole = true
    for (const { digest: part, foreign } of childrenOf(manifest)) {
      if (counted.size > MOST_PARTS) return false
      if (!(await here(part)) && !foreign) whole = false
    }
    return whole
  }

  const top = (await here(digest)) ? await readManifest(view, digest) : undefined
  if (top === undefined) return { bytesHere, state: bytesHere === 0 ? 'absent' : 'partial', platforms: [] }
  if (top.kind === 'image') {
    return { state: (await wholeImage(top)) ? 'whole' : 'partial', bytesHere, platforms: [] }
  }
  const platforms = new Set<string>()
  let any = false
  for (const child of top.manifests.slice(0, MOST_PARTS)) {
    if (!(await here(child.digest))) continue
    const manifest = await readManifest(view, child.digest)
    if (manifest === undefined || !(await wholeImage(manifest))) continue
    any = true
    const platform = platformText(child.platform)
    // `unknown/unknown` is how attestations lie beside an image.
    if (platform !== undefined && platform !== 'unknown/unknown') platforms.add(platform)
  }
  return { bytesHere, state: any ? 'whole' : 'partial', platforms: [...platforms] }
}
