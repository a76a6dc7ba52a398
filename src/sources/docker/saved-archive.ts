import { TarError } from '../../lib/tar/header.ts'
import { type ByteInput, type TarEntry, TarReader } from '../../lib/tar/tar-reader.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { isManifestType, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import { Failure } from '../../ports/failure.ts'
import type { ReadBytes } from './content-writer.ts'

/** Takes what an archive of `docker save` contains, in the order of the archive. */
export interface ArchiveListener {
  /** Whether the bytes of a content with a known digest are needed. Others are passed over without being hashed. */
  isNeeded(digest: Digest): Promise<boolean>
  /** Takes a content that may be large. `digest`: what its name says, if that says something. */
  blob(read: ReadBytes, size: number, digest: Digest | undefined): Promise<void>
  /** Takes a manifest, once all blobs of the archive were given. */
  manifest(found: FoundManifest): Promise<void>
}

export interface FoundManifest {
  /** What its name says. */
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly manifest: Manifest
}

/** An image has an index, and a manifest and an attestation for each platform. They are in memory until its end. */
const MOST_MANIFEST_BYTES = 16 * 1024 * 1024

/**
 * Reads an archive of `docker save` once, from its start to its end. Up to Engine 24 it has a folder for each layer, whose
 * name says nothing about the digest; since Engine 25 it is an OCI layout too, whose files are named by their digests.
 */
export async function readArchive(input: ByteInput, listener: ArchiveListener): Promise<void> {
  const reader = new TarReader(input)
  const manifests: FoundManifest[] = []
  let manifestBytes = 0
  try {
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      if (entry.kind === 'device' || entry.kind === 'unknown')
        throw new TarError(`${entry.path} is a ${entry.kind}`)
      if (entry.kind !== 'file') continue
      const digest = digestInName(entry.path)
      if (digest === undefined && !isLayer(entry.path)) continue
      if (digest !== undefined && !(await listener.isNeeded(digest))) continue
      const small = digest === undefined ? undefined : await readSmall(reader, entry, digest)
      if (small === undefined) await listener.blob((target) => reader.read(target), entry.size, digest)
      else if (small.found === undefined) await listener.blob(fromMemory(small.bytes), entry.size, digest)
      else {
        manifestBytes += small.bytes.length
        if (manifestBytes > MOST_MANIFEST_BYTES) throw new TarError('its manifests are too large')
        manifests.push(small.found)
      }
    }
  } catch (cause) {
    if (!(cause instanceof TarError)) throw cause
    throw new Failure('unavailable', `The archive that Docker has saved is unusable: ${cause.message}.`, {
      cause,
    })
  }
  for (const manifest of manifests) await listener.manifest(manifest)
}

function digestInName(path: string): Digest | undefined {
  const inLayout = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path)
  if (inLayout !== null) return parseDigest(`${inLayout[1]}:${inLayout[2]}`)
  const config = /^([0-9a-f]{64})\.json$/.exec(path)
  return config === null ? undefined : parseDigest(`sha256:${config[1]}`)
}

function isLayer(path: string): boolean {
  return path.endsWith('/layer.tar')
}

/** undefined for a file that is larger than any manifest. */
async function readSmall(
  reader: TarReader,
  { size }: TarEntry,
  digest: Digest,
): Promise<{ readonly bytes: Uint8Array; readonly found: FoundManifest | undefined } | undefined> {
  if (size > MAX_MANIFEST_BYTES) return undefined
  const bytes = await reader.readAll(MAX_MANIFEST_BYTES)
  // A layer begins with a name or with the mark of its compression, and JSON with a brace.
  const parsed = bytes[0] === 0x7b ? parseManifest(bytes) : undefined
  return { bytes, found: parsed?.ok === true ? foundManifest(digest, bytes, parsed.value) : undefined }
}

/** undefined for JSON that is no manifest, such as a config. */
function foundManifest(digest: Digest, bytes: Uint8Array, manifest: Manifest): FoundManifest | undefined {
  const { mediaType, kind, config } = manifest
  const found = { digest, bytes, manifest }
  if (mediaType !== undefined) return isManifestType(mediaType) ? { ...found, mediaType } : undefined
  if (kind === 'index') return { ...found, mediaType: OCI_INDEX }
  return config === undefined ? undefined : { ...found, mediaType: OCI_MANIFEST }
}

function fromMemory(bytes: Uint8Array): ReadBytes {
  let at = 0
  return async (target) => {
    const count = Math.min(target.length, bytes.length - at)
    target.set(bytes.subarray(at, at + count))
    at += count
    return count
  }
}
