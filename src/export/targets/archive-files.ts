import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { paddingOf, TarError } from '../../lib/tar/header.ts'
import { inputFromFile } from '../../lib/tar/inputs.ts'
import { type TarEntry, TarReader } from '../../lib/tar/tar-reader.ts'
import { BUNDLE_FILE } from '../../oci/bundle.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { ExportError } from './export-error.ts'
import { checkLayoutVersion } from './oci-index.ts'

const CHUNK_BYTES = 1024 * 1024
const MAX_INDEX_BYTES = 4 * MAX_MANIFEST_BYTES

/** Finds the blobs that an interrupted export has written whole. The first damaged entry and all after it are not used. */
export async function wholeBlobs(
  file: FileHandle,
): Promise<{ readonly end: number; readonly sizes: Map<Digest, number> }> {
  const { size: fileSize } = await file.stat()
  const sizes = new Map<Digest, number>()
  let end = 0
  for await (const entry of entriesUntilDamage(file)) {
    const digest = digestAt(entry)
    const entryEnd = entry.start + entry.size + paddingOf(entry.size)
    if (digest === undefined || entryEnd > fileSize) break
    const hash = createHash(algorithmOf(digest))
    for await (const chunk of entryChunks(file, entry)) hash.update(chunk)
    if (hash.digest('hex') !== hexOf(digest)) break
    sizes.set(digest, entry.size)
    end = entryEnd
  }
  return { end, sizes }
}

async function* entriesUntilDamage(file: FileHandle): AsyncGenerator<TarEntry> {
  const reader = new TarReader(inputFromFile(file))
  try {
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) yield entry
  } catch (error) {
    if (!(error instanceof TarError)) throw error
  }
}

/** The index and the blobs of an archive that is there already. */
export async function readArchive(file: FileHandle, path: string) {
  const blobs: { readonly digest: Digest; readonly entry: TarEntry }[] = []
  let layout: Uint8Array | undefined
  let index: Uint8Array | undefined
  let bundle: Uint8Array | undefined
  try {
    const reader = new TarReader(inputFromFile(file))
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      const digest = digestAt(entry)
      if (digest !== undefined) blobs.push({ digest, entry })
      else if (entry.path === 'oci-layout') layout = await reader.readAll(MAX_INDEX_BYTES)
      else if (entry.path === 'index.json') index = await reader.readAll(MAX_INDEX_BYTES)
      else if (entry.path === BUNDLE_FILE) bundle = await reader.readAll(MAX_INDEX_BYTES)
    }
  } catch (cause) {
    if (!(cause instanceof TarError)) throw cause
    throw new ExportError(
      `${path} is no whole tar archive: ${cause.message}; remove it, or write elsewhere`,
      { cause },
    )
  }
  checkLayoutVersion(path, layout)
  return { index, bundle, blobs }
}

/** The digest that an entry such as `blobs/sha256/<hex>` has in its name. */
function digestAt({ path, kind }: TarEntry): Digest | undefined {
  const [folder, algorithm, hex, ...more] = path.split('/')
  if (kind !== 'file' || folder !== 'blobs' || more.length > 0) return undefined
  return parseDigest(`${algorithm}:${hex}`)
}

/** The bytes of an entry, in one buffer that is filled again for each chunk. */
export async function* entryChunks(
  file: FileHandle,
  { start, size, path }: TarEntry,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, size))
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), start + at)
    if (bytesRead === 0)
      throw new ExportError(`the archive is cut short at ${path}; remove it, and export again`)
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}
