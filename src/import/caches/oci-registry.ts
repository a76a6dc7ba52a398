import { join } from 'node:path'
import {
  type CachedManifest,
  MAX_CACHED_MANIFEST_BYTES,
  parseCachedManifest,
} from '../../oci/cached-manifest.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt, readRange } from '../../sources/files/file-tree.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from '../formats/import-source.ts'
import { entriesOf, foldersIn, repositoryNamed } from './cache-files.ts'

const DEEPEST_NAME = 32

/** The cache of oci-registry: `blobs/sha256/<2>/<62>`, and `manifests/<registry>/<name>/<tag or digest>` as JSON. */
export class OciRegistryFiles implements ImportSource {
  readonly name: string
  readonly isCache = true
  readonly #path: string
  readonly #names: ImageNames
  readonly #manifests = new Map<Digest, string>()

  constructor({ path, names }: { readonly path: string; readonly names: ImageNames }) {
    this.name = `oci-registry:${path}`
    this.#path = path
    this.#names = names
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    const root = join(this.#path, 'manifests')
    if (!(await foldersIn(this.#path)).includes('manifests')) {
      throw new Failure(
        'unavailable',
        `${this.#path} is no cache of oci-registry: it has no folder manifests.`,
      )
    }
    const tagged: FoundImage[] = []
    const untagged: FoundImage[] = []
    const leftOut: LeftOut[] = []
    const visit = async (parts: readonly string[]): Promise<void> => {
      for (const entry of await entriesOf(join(root, ...parts))) {
        if (entry.isDirectory() && parts.length < DEEPEST_NAME) await visit([...parts, entry.name])
        if (!entry.isFile()) continue
        const image = await this.#image(join(root, ...parts, entry.name), parts.join('/'), entry.name)
        if ('error' in image) leftOut.push(image)
        else (image.tag === undefined ? untagged : tagged).push(image)
      }
    }
    await visit([])
    return { images: [...tagged, ...untagged], leftOut }
  }

  async locate(_image: FoundImage, digest: Digest): Promise<Located | undefined> {
    const file = this.#manifests.get(digest)
    if (file !== undefined) return (await readManifest(file))?.bytes
    const hex = hexOf(digest)
    return fileAt(join(this.#path, 'blobs', algorithmOf(digest), hex.slice(0, 2), hex.slice(2)))
  }

  async possibleReferrers(): Promise<readonly Descriptor[]> {
    return []
  }

  isNeeded(): boolean {
    return false
  }

  async #image(file: string, name: string, reference: string): Promise<FoundImage | LeftOut> {
    const repository = repositoryNamed(name, this.#names)
    const named = parseDigest(reference)
    if (repository === undefined || (named === undefined && !isTag(reference))) {
      return { file, error: 'Its path is not <registry>/<name>/<tag>.' }
    }
    const manifest = await readManifest(file)
    if (manifest === undefined) return { file, error: 'It is half-written, or holds no manifest.' }
    const { bytes, digest } = manifest
    const expected = named ?? manifest.declared
    if (expected !== undefined && algorithmOf(expected) === 'sha256' && expected !== digest) {
      return { file, error: `Its manifest is not ${expected}: its digest is ${digest}.` }
    }
    if (bytes.length > MAX_MANIFEST_BYTES) return { file, error: 'Its manifest is too large.' }
    this.#manifests.set(digest, file)
    const tag = named === undefined ? reference : undefined
    return { repository, tag, root: { digest, mediaType: undefined }, place: `${name}:${reference}` }
  }
}

async function readManifest(file: string): Promise<CachedManifest | undefined> {
  const range = await fileAt(file)
  if (range === undefined || range.size > MAX_CACHED_MANIFEST_BYTES) return undefined
  return parseCachedManifest(Buffer.from(await readRange(range, MAX_CACHED_MANIFEST_BYTES)).toString('utf8'))
}
