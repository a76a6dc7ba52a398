import { onAbort } from '../../lib/async/abort.ts'
import { publish } from '../../observe/events.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { isManifestType, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { Entries, Ties } from '../index/entries.ts'
import { isDamage } from '../index/open-database.ts'
import type { StoreParts } from '../writing/store-parts.ts'
import type { WriterPool } from '../writing/threads/writer-pool.ts'

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']
/** A manifest has no more. */
const MANIFEST_BYTES = 4 * 1024 * 1024
const ORIGIN = 'found on disk'

/** What a look at names alone has shown. */
export interface Reconciled {
  readonly dropped: number
  /** Files that the index does not know: they may be anything until they have been hashed. */
  readonly strays: readonly Digest[]
}

/**
 * Makes the index say what is on the disk, shelf by shelf, from names alone: opening every file would keep an agent with
 * many of them from starting. One that is shorter than it should be is noticed when it is opened.
 */
export async function reconcile(entries: Entries, shelves: BlobFiles): Promise<Reconciled> {
  const strays: Digest[] = []
  const gone: Digest[] = []
  let bytes = 0
  let blobs = 0
  for (const algorithm of ALGORITHMS) {
    for (const shelf of shelfNames()) {
      const [files, sizes] = await Promise.all([
        shelves.on(algorithm, shelf),
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
  await forgetAll(entries, gone)
  entries.count(bytes, blobs)
  return { dropped: gone.length, strays }
}

/** A full disk keeps its entries; what has no file is not here all the same. */
async function forgetAll(entries: Entries, gone: readonly Digest[]): Promise<void> {
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
    return await tryAdopt(digest, parts, signal)
  } catch (error) {
    if (signal.aborted) return false
    const why = error instanceof Error ? error.message : String(error)
    publish('verify.failed', { digest, found: `unreadable: ${why}`, source: 'disk', sourceKind: 'disk' })
    return false
  }
}

async function tryAdopt(digest: Digest, parts: StoreParts, signal: AbortSignal): Promise<boolean> {
  const { entries, blobFiles: shelves, writerPool: writers, quarantine } = parts
  signal.throwIfAborted()
  // Fetched again meanwhile: it was verified then.
  if ((await entries.get(digest)) !== undefined) return false
  const file = await shelves.open(digest)
  if (file === undefined) return false
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return false
    const found = await hashOf(file, digest, stats.size, writers, signal)
    if (found !== digest) {
      await quarantine.move(digest, shelves.path(digest))
      publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
      return false
    }
    const { kind, mediaType, ties } = await recognise(file, stats.size)
    const storedAt = Math.round(stats.mtimeMs)
    await entries.put({ digest, size: stats.size, kind, mediaType, storedAt, origin: ORIGIN }, ties)
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
  writers: WriterPool,
  signal: AbortSignal,
): Promise<Digest> {
  signal.throwIfAborted()
  const hashing = writers.open(file.fd, wanted, size, { written: () => {}, failed: () => {} })
  const stop = onAbort(signal, () => void hashing.end())
  try {
    return await hashing.digest()
  } finally {
    stop()
    await hashing.end()
  }
}

/** What a blob is that nobody remembers: a manifest looks like one. */
async function recognise(
  file: OpenFile,
  size: number,
): Promise<{ kind: 'manifest' | 'blob'; mediaType: string | undefined; ties: Ties }> {
  const manifest = size <= MANIFEST_BYTES ? manifestIn(await readWhole(file, size)) : undefined
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
function* shelfNames(): Generator<string> {
  for (let at = 0; at < 256; at++) yield at.toString(16).padStart(2, '0')
}
