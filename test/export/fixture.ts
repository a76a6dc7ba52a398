import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ExportLine, exportImages } from '../../src/export/export-run.ts'
import type { ImageReader } from '../../src/export/readers/image-reader.ts'
import { SourceReader } from '../../src/export/readers/source-reader.ts'
import type { ExportTarget } from '../../src/export/targets/target.ts'
import type { PlatformSelection } from '../../src/oci/index-selection.ts'
import { parseReference, type Reference } from '../../src/oci/names/reference.ts'
import { FileVerifier } from '../../src/sources/files/file-verifier.ts'
import { OciLayoutSource } from '../../src/sources/files/oci-layout.ts'
import type { Image, ImagePart, Index } from '../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../testkit/registries/image-folders.ts'

export type Images = Readonly<Record<string, Image | Index>>

const OCI = 'application/vnd.oci.image'
const signal = new AbortController().signal

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-export-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export function reference(text: string): Reference {
  const parsed = parseReference(text)
  assert.ok(parsed.ok, text)
  return parsed.value
}

/** Reads images from an OCI layout. The function `spoil` may change its files before. */
export async function layoutReader(
  t: TestContext,
  images: Images,
  { more = [], folder }: { more?: readonly ImagePart[]; folder?: string } = {},
): Promise<ImageReader> {
  const path = join(folder ?? (await temporaryFolder(t)), 'layout')
  const files = layoutFiles(images)
  const index = JSON.parse(Buffer.from(files.get('index.json') ?? '').toString())
  for (const { digest, bytes, mediaType } of more) {
    files.set(`blobs/${digest.replace(':', '/')}`, bytes)
    if (mediaType.includes('manifest')) index.manifests.push({ mediaType, digest, size: bytes.length })
  }
  await writeFiles(path, files.set('index.json', Buffer.from(JSON.stringify(index))))
  const verifier = new FileVerifier()
  t.after(() => verifier.close())
  const rules = { registry: undefined, defaultRegistry: 'docker.io', namePrefix: undefined, prefixes: [] }
  return new SourceReader(new OciLayoutSource({ path, rules, isExclusive: false, verifier }))
}

interface ExportOptions {
  readonly selection?: PlatformSelection
  readonly referrers?: boolean
  readonly signal?: AbortSignal
  readonly onLine?: (line: ExportLine) => void
}

/** Exports images, closes the target, and gives the lines other than progress. */
export async function exportTo(
  target: ExportTarget,
  reader: ImageReader,
  names: readonly string[],
  { selection = 'all', referrers = false, onLine, ...options }: ExportOptions = {},
): Promise<readonly ExportLine[]> {
  const images = names.map((name) => ({ reference: reference(name), selection, referrers }))
  const lines: ExportLine[] = []
  try {
    for await (const line of exportImages({ reader, target, images, signal, ...options })) {
      onLine?.(line)
      if (line.is !== 'progress') lines.push(line)
    }
  } finally {
    await target.close()
  }
  return lines
}

/** The same image, whose blobs have SHA-512 digests. */
export function withSha512({ manifest, blobs, files }: Image): Image {
  const described = JSON.parse(manifest.bytes.toString())
  const renamed = blobs.map((blob) => ({ ...blob, digest: sha512(blob.bytes) }))
  const [config, ...layers] = renamed.map(({ digest, mediaType, bytes }) => ({
    mediaType,
    digest,
    size: bytes.length,
  }))
  const bytes = Buffer.from(JSON.stringify({ ...described, config, layers }))
  return { manifest: { ...manifest, digest: sha256(bytes), bytes }, blobs: renamed, files }
}

/** An index that names its images by SHA-512. */
export function indexWithSha512(images: readonly Image[]): Index {
  const named = images.map((image) => ({
    ...image,
    manifest: { ...image.manifest, digest: sha512(image.manifest.bytes) },
  }))
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: named.map(({ manifest: { digest, mediaType, bytes } }, at) => ({
        mediaType,
        digest,
        size: bytes.length,
        platform: { os: 'linux', architecture: ['amd64', 'arm64', 's390x'][at] },
      })),
    }),
  )
  return { manifest: { digest: sha256(bytes), mediaType: `${OCI}.index.v1+json`, bytes }, images: named }
}

/** A signature: an artifact whose subject is the manifest, and its blobs. */
export function referrerOf({ digest, mediaType, bytes }: ImagePart): {
  readonly manifest: ImagePart
  readonly blobs: readonly ImagePart[]
} {
  const empty = {
    digest: sha256(Buffer.from('{}')),
    mediaType: 'application/vnd.oci.empty.v1+json',
    bytes: Buffer.from('{}'),
  }
  const signature = Buffer.from(`a signature of ${digest}`)
  const layer = { digest: sha256(signature), mediaType: 'application/vnd.test.signature', bytes: signature }
  const described = (part: ImagePart) => ({
    mediaType: part.mediaType,
    digest: part.digest,
    size: part.bytes.length,
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      artifactType: 'application/vnd.test.signature',
      config: described(empty),
      layers: [described(layer)],
      subject: { mediaType, digest, size: bytes.length },
      annotations: { 'org.test.kind': 'signature' },
    }),
  )
  return {
    manifest: { digest: sha256(manifest), mediaType: `${OCI}.manifest.v1+json`, bytes: manifest },
    blobs: [empty, layer],
  }
}

/** All files below a folder, by their paths in it. */
export async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function sha512(bytes: Uint8Array): string {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}`
}
