import { join } from 'node:path'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt } from '../../sources/files/file-tree.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from '../formats/import-source.ts'
import { foldersIn, foldersWith, repositoryNamed, smallText } from './cache-files.ts'

const ROOT = 'docker/registry/v2'

/** The storage of the CNCF distribution registry (registry:2 and registry:3), also of one that is a proxy. */
export class DockerRegistryFiles implements ImportSource {
  readonly name: string
  readonly isCache = true
  readonly #path: string
  readonly #names: ImageNames
  #root = ''
  readonly #revisions = new Map<string, readonly Descriptor[]>()

  constructor({ path, names }: { readonly path: string; readonly names: ImageNames }) {
    this.name = `docker-registry:${path}`
    this.#path = path
    this.#names = names
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    this.#root = await this.#findRoot()
    const tagged: FoundImage[] = []
    const untagged: FoundImage[] = []
    const leftOut: LeftOut[] = []
    for await (const parts of foldersWith(join(this.#root, 'repositories'), '_manifests')) {
      const folder = join(this.#root, 'repositories', ...parts, '_manifests')
      const name = parts.join('/')
      const repository = repositoryNamed(name, this.#names)
      if (repository === undefined) {
        leftOut.push({ file: folder, error: `${name} is not the name of an image.` })
        continue
      }
      for (const tag of await foldersIn(join(folder, 'tags'))) {
        const link = join(folder, 'tags', tag, 'current/link')
        const digest = parseDigest((await smallText(link)) ?? '')
        if (digest === undefined || !isTag(tag)) leftOut.push({ file: link, error: 'It names no manifest.' })
        else tagged.push({ repository, tag, root: { digest, mediaType: undefined }, place: `${name}:${tag}` })
      }
      const revisions = await revisionsIn(join(folder, 'revisions'))
      this.#revisions.set(name, revisions)
      for (const root of revisions) {
        untagged.push({ repository, tag: undefined, root, place: `${name}@${root.digest}` })
      }
    }
    return { images: [...tagged, ...untagged], leftOut }
  }

  async locate(_image: FoundImage, digest: Digest): Promise<Located | undefined> {
    const hex = hexOf(digest)
    return fileAt(join(this.#root, 'blobs', algorithmOf(digest), hex.slice(0, 2), hex, 'data'))
  }

  async possibleReferrers({ place }: FoundImage): Promise<readonly Descriptor[]> {
    return this.#revisions.get(place.replace(/[:@].*$/, '')) ?? []
  }

  isNeeded(): boolean {
    return false
  }

  async #findRoot(): Promise<string> {
    for (const root of [join(this.#path, ROOT), this.#path]) {
      const folders = await foldersIn(root)
      if (folders.includes('repositories') && folders.includes('blobs')) return root
    }
    throw new Failure(
      'unavailable',
      `${this.#path} is no storage of a registry: it has no ${ROOT}/repositories. Give its rootdirectory.`,
    )
  }
}

async function revisionsIn(folder: string): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = []
  for (const algorithm of await foldersIn(folder)) {
    for (const hex of await foldersIn(join(folder, algorithm))) {
      // A revision that was deleted has a folder without a link.
      const digest = parseDigest((await smallText(join(folder, algorithm, hex, 'link'))) ?? '')
      if (digest !== undefined) found.push(descriptorOf(digest))
    }
  }
  return found
}

function descriptorOf(digest: Digest): Descriptor {
  return {
    digest,
    size: 0,
    mediaType: undefined,
    artifactType: undefined,
    platform: undefined,
    annotations: {},
    isForeign: false,
  }
}
