import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { BUNDLE_FILE } from '../../oci/bundle.ts'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import type { BundleList } from './bundle-list.ts'
import { ExportError, writeError } from './export-error.ts'
import { checkLayoutVersion, LAYOUT_FILE, OciIndex } from './oci-index.ts'
import type { BlobPart, ExportImage, ExportTarget, ImageWriter } from './target.ts'
import { removeAbandoned, sizeOfFile, writeBlobFile, writeSmallFile } from './whole-file.ts'

/** Writes an OCI layout into a folder, or adds to the one that is there. */
export class OciFolder implements ExportTarget {
  readonly isConcurrent = true
  readonly #path: string
  readonly #index: OciIndex
  readonly #bundle: BundleList | undefined

  static async open(path: string, bundle?: BundleList): Promise<OciFolder> {
    const layout = await readIfThere(join(path, 'oci-layout'))
    const index = await readIfThere(join(path, 'index.json'))
    if (layout !== undefined || index !== undefined) checkLayoutVersion(path, layout)
    else if (!(await isUnused(path))) {
      throw new ExportError(`${path} holds other files than an OCI layout; write to an empty folder`)
    }
    for (const algorithm of ['sha256', 'sha512']) await removeAbandoned(join(path, 'blobs', algorithm))
    if (layout === undefined) await writeSmallFile(join(path, 'oci-layout'), LAYOUT_FILE)
    const list = await readIfThere(join(path, BUNDLE_FILE))
    if (list !== undefined) bundle?.continue(join(path, BUNDLE_FILE), list)
    return new OciFolder(path, new OciIndex(path, index), bundle)
  }

  private constructor(path: string, index: OciIndex, bundle: BundleList | undefined) {
    this.#path = path
    this.#index = index
    this.#bundle = bundle
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    return {
      has: async (blob) => this.#bundle?.leavesOut(blob.digest) === true || (await this.#has(blob)),
      add: (blob, chunks) => writeBlobFile(this.#blobPath(blob.digest), blob, chunks),
      commit: () => this.#commit(image),
    }
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {}

  async #commit(image: ExportImage): Promise<void> {
    for (const { digest, bytes } of image.manifests) {
      // A manifest is small, so it is written again rather than trusted.
      await writeSmallFile(this.#blobPath(digest), bytes)
    }
    this.#index.add(image)
    if (this.#bundle !== undefined) {
      await this.#bundle.add(image, (blob) => this.#has(blob))
      await writeSmallFile(join(this.#path, BUNDLE_FILE), this.#bundle.bytes())
    }
    await writeSmallFile(join(this.#path, 'index.json'), this.#index.bytes())
  }

  async #has({ digest, size }: BlobPart): Promise<boolean> {
    return (await sizeOfFile(this.#blobPath(digest))) === size
  }

  #blobPath(digest: Digest): string {
    return join(this.#path, 'blobs', algorithmOf(digest), hexOf(digest))
  }
}

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw writeError(error, path)
  }
}

/** Whether nothing is at the path, or only an empty folder or one with the blobs of an export that was interrupted. */
async function isUnused(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).every((name) => name === 'blobs' || name.startsWith('.'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true
    throw writeError(error, path)
  }
}
