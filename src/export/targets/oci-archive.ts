import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { TarWriter } from '../../lib/tar/tar-writer.ts'
import { BUNDLE_FILE } from '../../oci/bundle.ts'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { entryChunks, readArchive, wholeBlobs } from './archive-files.ts'
import type { BundleList } from './bundle-list.ts'
import { writeError } from './export-error.ts'
import { LAYOUT_FILE, OciIndex } from './oci-index.ts'
import type { BlobPart, ExportImage, ExportTarget, ImageWriter } from './target.ts'
import { writeVerified } from './verified-bytes.ts'

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
  readonly #bundle: BundleList | undefined
  readonly #sizes: Map<Digest, number>
  /** Where the next entry begins. */
  #end: number

  static async open(path: string, bundle?: BundleList): Promise<OciArchive> {
    const partialPath = join(dirname(path), `.${basename(path)}.leat-partial`)
    try {
      await mkdir(dirname(path), { recursive: true })
      const file = await open(partialPath, 'a+').then(async (created) => {
        await created.close()
        return open(partialPath, 'r+')
      })
      try {
        return await OciArchive.#opened({ path, partialPath, file, bundle })
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw writeError(error, path)
    }
  }

  static async #opened(given: {
    readonly path: string
    readonly partialPath: string
    readonly file: FileHandle
    readonly bundle: BundleList | undefined
  }): Promise<OciArchive> {
    const { path, file, bundle } = given
    const { end, sizes } = await wholeBlobs(file)
    await file.truncate(end)
    const existing = await openIfThere(path)
    try {
      const found = existing && (await readArchive(existing, path))
      const index = new OciIndex(path, found?.index)
      if (found?.bundle !== undefined) bundle?.continue(`${BUNDLE_FILE} in ${path}`, found.bundle)
      const archive = new OciArchive({ ...given, index, sizes, end })
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
    readonly bundle: BundleList | undefined
    readonly sizes: Map<Digest, number>
    readonly end: number
  }) {
    this.#path = given.path
    this.#partialPath = given.partialPath
    this.#file = given.file
    this.#index = given.index
    this.#bundle = given.bundle
    this.#sizes = given.sizes
    this.#end = given.end
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    return {
      has: async (blob) => this.#bundle?.leavesOut(blob.digest) === true || this.#has(blob),
      add: (blob, chunks) => this.#add(blob, chunks),
      commit: async () => {
        for (const { digest, bytes } of image.manifests) {
          if (!this.#sizes.has(digest)) await this.#add({ digest, size: bytes.length }, once(bytes))
        }
        this.#index.add(image)
        await this.#bundle?.add(image, async (blob) => this.#has(blob))
      },
    }
  }

  async finish(): Promise<void> {
    try {
      const index = this.#index.bytes()
      const writer = this.#writer()
      const files = { 'oci-layout': LAYOUT_FILE, [BUNDLE_FILE]: this.#bundle?.bytes(), 'index.json': index }
      for (const [name, bytes] of Object.entries(files)) {
        if (bytes === undefined) continue
        await writer.addFile(name, bytes.length)
        await writer.write(bytes)
      }
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

  #has({ digest, size }: BlobPart): boolean {
    return this.#sizes.get(digest) === size
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
