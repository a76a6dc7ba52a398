import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES, manifestTypeOf, parseManifest } from '../../oci/manifest.ts'
import { repositoryOf } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt, readRange } from '../../sources/files/file-tree.ts'
import { contentFile, MANIFEST_FILE } from '../../sources/files/skopeo-files.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from './import-source.ts'

const DEEPEST_NAME = 16

/** One image that `skopeo copy … dir:` has written, or a folder with an image in each `<name>/<tag>/`. */
export class FolderImages implements ImportSource {
  readonly name: string
  readonly isCache = false
  readonly #path: string
  readonly #names: ImageNames
  /** The digest of the manifest in each folder. */
  readonly #roots = new Map<string, Digest>()

  constructor({ path, names }: { readonly path: string; readonly names: ImageNames }) {
    this.name = `dir:${path}`
    this.#path = path
    this.#names = names
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    const images: FoundImage[] = []
    const leftOut: LeftOut[] = []
    const visit = async (parts: readonly string[]): Promise<void> => {
      const folder = join(this.#path, ...parts)
      const entries = await listFolder(folder)
      if (entries.some(({ name }) => name === MANIFEST_FILE)) {
        const image = await this.#image(folder, parts)
        if ('error' in image) leftOut.push(image)
        else images.push(image)
      } else if (parts.length <= DEEPEST_NAME) {
        for (const entry of entries) if (entry.isDirectory()) await visit([...parts, entry.name])
      }
    }
    await visit([])
    if (images.length === 0 && leftOut.length === 0) {
      throw new Failure('absent', `${this.#path} has no image: no folder in it has a ${MANIFEST_FILE}.`)
    }
    return { images, leftOut }
  }

  async locate({ place }: FoundImage, digest: Digest): Promise<Located | undefined> {
    if (this.#roots.get(place) === digest) return fileAt(join(place, MANIFEST_FILE))
    return contentFile(place, digest)
  }

  async possibleReferrers(): Promise<readonly Descriptor[]> {
    return []
  }

  isNeeded(): boolean {
    return false
  }

  async #image(folder: string, parts: readonly string[]): Promise<FoundImage | LeftOut> {
    const file = join(folder, MANIFEST_FILE)
    const range = await fileAt(file)
    if (range === undefined) return { file, error: 'It is not a file.' }
    if (range.size > MAX_MANIFEST_BYTES) return { file, error: 'It is too large for a manifest.' }
    const bytes = await readRange(range, MAX_MANIFEST_BYTES)
    const manifest = parseManifest(bytes)
    if (!manifest.ok) return { file, error: `It cannot be imported: ${manifest.problem}.` }
    const digest = digestOf(bytes)
    this.#roots.set(folder, digest)
    const name = parts.slice(0, -1).join('/')
    const rules = { ...this.#names, namePrefix: undefined, prefixes: [] }
    const repository = name === '' ? undefined : repositoryOf(name, rules)
    const tag = parts.at(-1)
    if (parts.length > 0 && (repository === undefined || !isTag(tag ?? ''))) {
      return { file, error: 'Its folder is not called <name>/<tag>, so that the image has no name.' }
    }
    const root = { digest, mediaType: manifestTypeOf(undefined, manifest.value) }
    return { repository, tag, root, place: folder }
  }
}

async function listFolder(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (cause) {
    const code = errorCode(cause)
    const why =
      { ENOENT: 'it does not exist', ENOTDIR: 'it is not a folder', EACCES: 'permission denied' }[
        code ?? ''
      ] ??
      code ??
      String(cause)
    throw new Failure('unavailable', `${path} cannot be read: ${why}.`, { cause })
  }
}
