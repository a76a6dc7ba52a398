import { publish } from '../../observe/events.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import { childrenOf, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { isManifestType, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import { RECOVERED } from '../../ports/blob-store.ts'
import { isDamage } from '../database/open-database.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { BlobRelations } from '../index/blob-entry.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import { hashOf } from '../writing/file-adoption.ts'
import type { StoreParts } from '../writing/store-parts.ts'

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']

/** The result of comparing names. */
export interface ReconcileResult {
  /** How many entries had no file. */
  readonly dropped: number
  /** Files that the index does not know. Their content is unknown until they are hashed. */
  readonly unknownFiles: readonly Digest[]
}

/**
 * Makes the index agree with the files, folder by folder, by comparing names only: opening every file would delay the start
 * of an agent with many blobs. A file of a wrong size is noticed when it is opened.
 */
export async function reconcile(index: BlobIndex, blobFiles: BlobFiles): Promise<ReconcileResult> {
  const unknownFiles: Digest[] = []
  const withoutFile: Digest[] = []
  let bytes = 0
  let blobs = 0
  for (const algorithm of ALGORITHMS) {
    const used = new Set([...(await blobFiles.folders(algorithm)), ...(await index.prefixes(algorithm))])
    for (const prefix of used) {
      const [files, entries] = await Promise.all([
        blobFiles.list(algorithm, prefix),
        index.entriesUnder(`${algorithm}:${prefix}`),
      ])
      const named = new Set(files)
      unknownFiles.push(...files.filter((digest) => entries.get(digest) === undefined))
      for (const [digest, entry] of entries) {
        if (entry !== undefined && (entry.isInline || named.has(digest))) {
          bytes += entry.size
          blobs += 1
        } else if (!named.has(digest)) withoutFile.push(digest)
      }
    }
  }
  index.allRead()
  await removeEntries(index, withoutFile)
  index.setUsage(bytes, blobs)
  return { dropped: withoutFile.length, unknownFiles }
}

/** Removes entries without files. On a full disk they cannot be removed, and are only hidden. */
async function removeEntries(index: BlobIndex, withoutFile: readonly Digest[]): Promise<void> {
  try {
    await index.removeAll(withoutFile)
  } catch (error) {
    if (isDamage(error)) throw error
    for (const digest of withoutFile) index.hide(digest)
  }
}

/**
 * Adds an unknown file to the index if its digest is its name. A file that cannot be read stays: the next start tries again,
 * and until then the blob counts as not stored.
 */
export async function adopt(
  digest: Digest,
  parts: StoreParts,
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  try {
    return await adoptNow(digest, parts, signal)
  } catch (error) {
    if (signal.aborted) return false
    const why = error instanceof Error ? error.message : String(error)
    publish('verify.failed', { digest, found: `unreadable: ${why}`, source: 'disk', sourceKind: 'disk' })
    return false
  }
}

async function adoptNow(digest: Digest, parts: StoreParts, signal: AbortSignal): Promise<boolean> {
  const { index, blobFiles, lanes, quarantine } = parts
  signal.throwIfAborted()
  // The blob may have been fetched meanwhile, and was verified then.
  if ((await index.get(digest)) !== undefined) return false
  const file = await blobFiles.open(digest)
  if (file === undefined) return false
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return false
    const found = await hashOf(file, digest, stats.size, lanes, signal)
    if (found !== digest) {
      await quarantine.moveFile(digest, blobFiles.path(digest))
      publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
      return false
    }
    const { kind, mediaType, relations } = await identify(file, stats.size)
    const storedAt = Math.round(stats.mtimeMs)
    await index.put({ digest, size: stats.size, kind, mediaType, storedAt, origin: RECOVERED }, relations)
    return true
  } finally {
    await file.close()
  }
}

/** Finds out whether an unknown file is a manifest, from its content. */
async function identify(
  file: OpenFile,
  size: number,
): Promise<{ kind: 'manifest' | 'blob'; mediaType: string | undefined; relations: BlobRelations }> {
  const manifest = size <= MAX_MANIFEST_BYTES ? manifestIn(await readWhole(file, size)) : undefined
  const repository = undefined
  if (manifest === undefined) {
    return {
      kind: 'blob',
      mediaType: undefined,
      relations: { references: [], subject: undefined, repository },
    }
  }
  return {
    kind: 'manifest',
    mediaType: manifest.mediaType ?? (manifest.kind === 'index' ? OCI_INDEX : OCI_MANIFEST),
    relations: {
      references: childrenOf(manifest).map((child) => child.digest),
      subject: manifest.subject?.digest,
      repository,
    },
  }
}

function manifestIn(bytes: Uint8Array): Manifest | undefined {
  if (bytes[0] !== 0x7b) return undefined
  const parsed = parseManifest(bytes)
  if (!parsed.ok) return undefined
  const { mediaType, config, manifests } = parsed.value
  const isDeclared = mediaType !== undefined && isManifestType(mediaType)
  return isDeclared || config !== undefined || manifests.length > 0 ? parsed.value : undefined
}

async function readWhole(file: OpenFile, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; ) {
    const count = await file.read(bytes.subarray(at), at)
    if (count === 0) break
    at += count
  }
  return bytes
}
