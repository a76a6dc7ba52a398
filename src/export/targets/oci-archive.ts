import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { paddingOf, TarError } from '../../lib/tar/header.ts'
import { inputFromFile } from '../../lib/tar/inputs.ts'
import { type TarEntry, TarReader } from '../../lib/tar/tar-reader.ts'
import { TarWriter } from '../../lib/tar/tar-writer.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { ExportError, writeError } from './export-error.ts'
import { checkLayoutVersion, LAYOUT_FILE, OciIndex } from './oci-index.ts'
import type { BlobPart, ExportImage, ExportTarget, ImageWriter } from './target.ts'
import { writeVerified } from './verified-bytes.ts'

const CHUNK_BYTES = 1024 * 1024
const MAX_INDEX_BYTES = 4 * MAX_MANIFEST_BYTES

/**
 * Writes an OCI layout as a tar archive. The archive grows in a file beside it, `.NAME.leat-partial`, which an export
 * after an interruption continues, and which replaces the archive when it is whole. An archive that is there already is
 * copied first, so that images are added to it.
 */
export class OciArchive implements ExportTarget {
  readonly isConcurrent = false
  readonly #path: string
  readonly #partialPath: string
  readonly #file: FileHandle
  readonly #index: OciIndex
  readonly #sizes: Map<Digest, number>
  /** Where the next entry begins. */
  #end: number

  static async open(path: string): Promise<OciArchive> {
    const partialPath = join(dirname(path), `.${basename(path)}.leat-partial`)
    try {
      await mkdir(dirname(path), { recursive: true })
      const file = await open(partialPath, 'a+').then(async (created) => {
        await created.close()
        return open(partialPath, 'r+')
      })
      try {
        return await OciArchive.#opened(path, partialPath, file)
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw writeError(error, path)
    }
  }

  static async #opened(path: string, partialPath: string, file: FileHandle): Promise<OciArchive> {
    const { end, sizes } = await wholeBlobs(file)
    await file.truncate(end)
    const existing = await openIfThere(path)
    try {
      const found = existing && (await readArchive(existing, path))
      const index = new OciIndex(path, found?.index)
      const archive = new OciArchive({ path, partialPath, file, index, sizes, end })
      for (const { digest, entry } of found?.blobs ?? []) {
        if (existing === undefined || sizes.has(digest)) continue
        await archive.#add({ digest, size: entry.size }, entryChunks(existing, entry))
      }
      return archive
    } finally {
      await existing?.close()
    }
  }

  private constructor(given: {
    readonly path: string
    readonly partialPath: string
    readonly file: FileHandle
    readonly index: OciIndex
    readonly sizes: Map<Digest, number>
    readonly end: number
  }) {
    this.#path = given.path
    this.#partialPath = given.partialPath
    this.#file = given.file
    this.#index = given.index
    this.#sizes = given.sizes
    this.#end = given.end
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    return {
      has: async ({ digest, size }) => this.#sizes.get(digest) === size,
      add: (blob, chunks) => this.#add(blob, chunks),
      commit: async () => {
        for (const { digest, bytes } of image.manifests) {
          if (!this.#sizes.has(digest)) await this.#add({ digest, size: bytes.length }, once(bytes))
        }
        this.#index.add(image)
      },
    }
  }

  async finish(): Promise<void> {
    try {
      const index = this.#index.bytes()
      const writer = this.#writer()
      await writer.addFile('oci-layout', LAYOUT_FILE.length)
      await writer.write(LAYOUT_FILE)
      await writer.addFile('index.json', index.length)
      await writer.write(index)
      await writer.end()
      await this.#file.sync()
      await rename(this.#partialPath, this.#path)
    } catch (error) {
      throw writeError(error, this.#path)
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** Bytes that are not the blob are cut off again, so that the partial file has only whole entries. */
  async #add(blob: BlobPart, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const start = this.#end
    try {
      const writer = this.#writer()
      await writer.addFile(blobPath(blob.digest), blob.size)
      await writeVerified(blob, chunks, (chunk) => writer.write(chunk))
      await writer.endFile()
      this.#sizes.set(blob.digest, blob.size)
    } catch (error) {
      this.#end = start
      await this.#file.truncate(start).catch(() => {})
      throw writeError(error, this.#path)
    }
  }

  #writer(): TarWriter {
    return new TarWriter(async (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#end)
        at += bytesWritten
        this.#end += bytesWritten
      }
    })
  }
}

/** Finds the blobs that an interrupted export has written whole. The first damaged entry and all after it are not used. */
async function wholeBlobs(
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
async function readArchive(file: FileHandle, path: string) {
  const blobs: { readonly digest: Digest; readonly entry: TarEntry }[] = []
  let layout: Uint8Array | undefined
  let index: Uint8Array | undefined
  try {
    const reader = new TarReader(inputFromFile(file))
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      const digest = digestAt(entry)
      if (digest !== undefined) blobs.push({ digest, entry })
      else if (entry.path === 'oci-layout') layout = await reader.readAll(MAX_INDEX_BYTES)
      else if (entry.path === 'index.json') index = await reader.readAll(MAX_INDEX_BYTES)
    }
  } catch (cause) {
    if (!(cause instanceof TarError)) throw cause
    throw new ExportError(
      `${path} is no whole tar archive: ${cause.message}; remove it, or write elsewhere`,
      { cause },
    )
  }
  checkLayoutVersion(path, layout)
  return { index, blobs }
}

/** The digest that an entry such as `blobs/sha256/<hex>` has in its name. */
function digestAt({ path, kind }: TarEntry): Digest | undefined {
  const [folder, algorithm, hex, ...more] = path.split('/')
  if (kind !== 'file' || folder !== 'blobs' || more.length > 0) return undefined
  return parseDigest(`${algorithm}:${hex}`)
}

async function* entryChunks(file: FileHandle, { start, size, path }: TarEntry): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, size))
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), start + at)
    if (bytesRead === 0)
      throw new ExportError(`the archive is cut short at ${path}; remove it, and export again`)
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
