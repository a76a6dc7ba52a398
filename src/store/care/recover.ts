import { onAbort } from '../../lib/async/abort.ts'
import { publish } from '../../observe/events.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { isManifestType, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { BlobRelations } from '../index/blob-entry.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import { isDamage } from '../index/open-database.ts'
import type { StoreParts } from '../writing/store-parts.ts'
import type { WriterPool } from '../writing/threads/writer-pool.ts'

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']
/** A manifest has no more. */
const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024
const ORIGIN = 'found on disk'

/** What a look at names alone has shown. */
export interface ReconcileResult {
  readonly dropped: number
  /** Files that the index does not know: they may be anything until they have been hashed. */
  readonly unknownFiles: readonly Digest[]
}

/**
 * Makes the index say what is on the disk, shelf by shelf, from names alone: opening every file would keep an agent with
 * many of them from starting. One that is shorter than it should be is noticed when it is opened.
 */
export async function reconcile(entries: BlobIndex, shelves: BlobFiles): Promise<ReconcileResult> {
  const strays: Digest[] = []
  const gone: Digest[] = []
  let bytes = 0
  let blobs = 0
  for (const algorithm of ALGORITHMS) {
    for (const shelf of prefixes()) {
      const [files, sizes] = await Promise.all([
        shelves.list(algorithm, shelf),
        entries.sizesUnder(`${algorithm}:${shelf}`),
      ])
      for (const digest of files) {
        const size = sizes.get(digest)
        sizes.delete(digest)
        if (size === undefined) {
          strays.push(digest)
          continue
        }
        bytes += size
        blobs += 1
      }
      gone.push(...sizes.keys())
    }
  }
  await removeEntries(entries, gone)
  entries.setUsage(bytes, blobs)
  return { dropped: gone.length, unknownFiles: strays }
}

/** A full disk keeps its entries; what has no file is not here all the same. */
async function removeEntries(entries: BlobIndex, gone: readonly Digest[]): Promise<void> {
  try {
    await entries.removeAll(gone)
  } catch (error) {
    if (isDamage(error)) throw error
    for (const digest of gone) entries.hide(digest)
  }
}

/**
 * Takes a file into the index that was found on its shelf, if it is what its name says. One that cannot be read stays
 * where it is: the next start tries again, and until then it is fetched as if it were not here.
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
  const { index, blobFiles, writerPool, quarantine } = parts
  signal.throwIfAborted()
  // Fetched again meanwhile: it was verified then.
  if ((await index.get(digest)) !== undefined) return false
  const file = await blobFiles.open(digest)
  if (file === undefined) return false
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return false
    const found = await hashOf(file, digest, stats.size, writerPool, signal)
    if (found !== digest) {
      await quarantine.moveFile(digest, blobFiles.path(digest))
      publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
      return false
    }
    const { kind, mediaType, ties } = await identify(file, stats.size)
    const storedAt = Math.round(stats.mtimeMs)
    await index.put({ digest, size: stats.size, kind, mediaType, storedAt, origin: ORIGIN }, ties)
    return true
  } finally {
    await file.close()
  }
}

/** By a writer thread: it can be a large file, and others want to be served meanwhile. */
async function hashOf(
  file: OpenFile,
  wanted: Digest,
  size: number,
  writerPool: WriterPool,
  signal: AbortSignal,
): Promise<Digest> {
  signal.throwIfAborted()
  const hashing = writerPool.open(file.fd, wanted, size, { written: () => {}, failed: () => {} })
  const stop = onAbort(signal, () => void hashing.end())
  try {
    return await hashing.digest()
  } finally {
    stop()
    await hashing.end()
  }
}

/** What a blob is that nobody remembers: a manifest looks like one. */
async function identify(
  file: OpenFile,
  size: number,
): Promise<{ kind: 'manifest' | 'blob'; mediaType: string | undefined; ties: BlobRelations }> {
  const manifest = size <= MANIFEST_LIMIT_BYTES ? manifestIn(await readWhole(file, size)) : undefined
  const repository = undefined
  if (manifest === undefined) {
    return { kind: 'blob', mediaType: undefined, ties: { references: [], subject: undefined, repository } }
  }
  return {
    kind: 'manifest',
    mediaType: manifest.mediaType ?? (manifest.kind === 'index' ? OCI_INDEX : OCI_MANIFEST),
    ties: {
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
  const saysSo = mediaType !== undefined && isManifestType(mediaType)
  return saysSo || config !== undefined || manifests.length > 0 ? parsed.value : undefined
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

/** `00` to `ff`. */
function* prefixes(): Generator<string> {
  for (let at = 0; at < 256; at++) yield at.toString(16).padStart(2, '0')
}
