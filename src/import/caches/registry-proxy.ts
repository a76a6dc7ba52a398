import { join } from 'node:path'
import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { algorithmOf, type Digest, digestOf, hexOf, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt, readRange } from '../../sources/files/file-tree.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from '../formats/import-source.ts'
import { entriesOf, foldersWith, repositoryNamed, smallText } from './cache-files.ts'

const MARK = '_repository'
const Meta = v.object({ hash: v.string(), content_type: v.string() })

/**
 * The storage of docker-registry-server-proxy: `<name>/_repository/{blobs,manifests,meta}/…`. It is the folder of images that
 * were pushed, or the one of images that were pulled through, whose names begin with their registries.
 */
export class RegistryProxyFiles implements ImportSource {
  readonly name: string
  readonly isCache = true
  readonly #path: string
  readonly #names: ImageNames
  /** The files of manifests, by folder and digest. */
  readonly #manifests = new Map<string, string>()

  constructor({ path, names }: { readonly path: string; readonly names: ImageNames }) {
    this.name = `registry-proxy:${path}`
    this.#path = path
    this.#names = names
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    const tagged: FoundImage[] = []
    const untagged: FoundImage[] = []
    const leftOut: LeftOut[] = []
    let folders = 0
    for await (const parts of foldersWith(this.#path, MARK)) {
      folders += 1
      const folder = join(this.#path, ...parts, MARK)
      for (const entry of await entriesOf(join(folder, 'manifests'))) {
        const image = await this.#image(folder, parts.join('/'), entry.name)
        if ('error' in image) leftOut.push(image)
        else (image.tag === undefined ? untagged : tagged).push(image)
      }
    }
    if (folders === 0) {
      throw new Failure(
        'unavailable',
        `${this.#path} is no storage of docker-registry-server-proxy: no folder in it has a folder ${MARK}.`,
      )
    }
    return { images: [...tagged, ...untagged], leftOut }
  }

  async locate({ place }: FoundImage, digest: Digest): Promise<Located | undefined> {
    const names = [digest, hexOf(digest)].filter(
      (name) => name.includes(':') || algorithmOf(digest) === 'sha256',
    )
    const blobs = names.map((name) => join(place, 'blobs', name))
    const manifest = this.#manifests.get(`${place} ${digest}`) ?? join(place, 'manifests', digest)
    for (const path of [manifest, ...blobs]) {
      const file = await fileAt(path)
      if (file !== undefined) return file
    }
    return undefined
  }

  async possibleReferrers(): Promise<readonly Descriptor[]> {
    return []
  }

  isNeeded(): boolean {
    return false
  }

  async #image(folder: string, name: string, reference: string): Promise<FoundImage | LeftOut> {
    const file = join(folder, 'manifests', reference)
    const repository = repositoryNamed(name, this.#names)
    const named = parseDigest(reference)
    if (repository === undefined || (named === undefined && !isTag(reference))) {
      return { file, error: 'Its path is not the one of an image.' }
    }
    const range = await fileAt(file)
    if (range === undefined || range.size > MAX_MANIFEST_BYTES) return { file, error: 'It is no manifest.' }
    const bytes = await readRange(range, MAX_MANIFEST_BYTES)
    const digest = digestOf(bytes, named === undefined ? 'sha256' : algorithmOf(named))
    const meta = v.safeParse(Meta, parseJson((await smallText(join(folder, 'meta', reference))) ?? ''))
    const declared = meta.success ? parseDigest(`sha256:${meta.output.hash}`) : undefined
    const expected = named ?? declared
    if (expected !== undefined && expected !== digest) {
      return { file, error: `It is not ${expected}: its digest is ${digest}. It may be half-written.` }
    }
    this.#manifests.set(`${folder} ${digest}`, file)
    const mediaType = meta.success ? meta.output.content_type : undefined
    const tag = named === undefined ? reference : undefined
    return { repository, tag, root: { digest, mediaType }, place: folder }
  }
}
