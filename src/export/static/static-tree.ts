import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { isRepositoryName } from '../../oci/names/names.ts'
import { type Reference, referenceText } from '../../oci/names/reference.ts'
import { DOCKER_HUB } from '../../oci/names/registry-host.ts'
import { ExportError } from '../targets/export-error.ts'
import { SharedBlobs } from '../targets/shared-blobs.ts'
import type { BlobPart, ExportImage, ExportTarget, ImageWriter } from '../targets/target.ts'
import { removeAbandoned, writeSmallFile } from '../targets/whole-file.ts'
import { writeReferrerLists } from './referrer-lists.ts'
import { blobsOf, repositoriesIn, tagsOf } from './tree.ts'

/**
 * Writes a tree of files whose paths are those of the registry API: `v2/<name>/blobs/<digest>`,
 * `v2/<name>/manifests/<tag or digest>`, `v2/<name>/tags/list` and `v2/<name>/referrers/<digest>`. Any server of files
 * then serves it as a registry; what it must say about their types is in `nginx.ts` and `caddy.ts`.
 */
export class StaticTree implements ExportTarget {
  readonly isConcurrent = true
  readonly #root: string
  readonly #namePrefix: string
  readonly #blobs = new SharedBlobs()
  /** What this export has written under a name and a tag. */
  readonly #written = new Map<string, Reference & { readonly root: Digest }>()

  /** `namePrefix`: put before every name, such as `mirror/`. */
  static async open(root: string, { namePrefix }: { namePrefix: string }): Promise<StaticTree> {
    const tree = new StaticTree(root, namePrefix)
    for (const name of await repositoriesIn(root)) {
      const folder = join(root, 'v2', name, 'blobs')
      await removeAbandoned(folder)
      for (const digest of await blobsOf(root, name)) tree.#blobs.know(digest, join(folder, digest))
    }
    // Clients ask for `/v2/` to find out whether this is a registry.
    await writeSmallFile(join(root, 'v2/index.html'), Buffer.from('{}\n'))
    return tree
  }

  private constructor(root: string, namePrefix: string) {
    this.#root = root
    this.#namePrefix = namePrefix
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    const folders = this.#namesOf(image).map((name) => join(this.#root, 'v2', name))
    const paths = (digest: Digest): string[] => folders.map((folder) => join(folder, 'blobs', digest))
    const provide = async (blob: BlobPart): Promise<boolean> => {
      for (const path of paths(blob.digest)) if (!(await this.#blobs.provide(path, blob))) return false
      return true
    }
    return {
      has: provide,
      add: async (blob, chunks) => {
        const [first = ''] = paths(blob.digest)
        await this.#blobs.add(first, blob, chunks)
        await provide(blob)
      },
      commit: async () => {
        for (const name of this.#namesOf(image)) await this.#commit(name, image)
      },
    }
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {}

  async #commit(name: string, image: ExportImage): Promise<void> {
    const folder = join(this.#root, 'v2', name)
    for (const { digest, bytes } of image.manifests) {
      await writeSmallFile(join(folder, 'manifests', digest), bytes)
    }
    await writeReferrerLists(folder, image.manifests)
    const { tag } = image.reference
    const tagged = [...image.referrerTags, ...(tag === undefined ? [] : [[tag, image.root] as const])]
    for (const [name, { bytes }] of tagged) await writeSmallFile(join(folder, 'manifests', name), bytes)
    const list = { name, tags: await tagsOf(this.#root, name) }
    await writeSmallFile(join(folder, 'tags/list'), Buffer.from(`${JSON.stringify(list)}\n`))
  }

  /** A registry does not know under which registry's name clients have found it, so the tree has names without one. */
  #namesOf({ reference, root }: ExportImage): readonly string[] {
    const { registry, name } = reference.repository
    const short = registry === DOCKER_HUB ? name.replace(/^library\//, '') : name
    const names = [...new Set([name, short])].map((one) => `${this.#namePrefix}${one}`)
    for (const one of names) {
      if (!isRepositoryName(one)) {
        throw new ExportError(`${JSON.stringify(one)} is no name of a repository; give another --name-prefix`)
      }
      const key = `${one}:${reference.tag ?? ''}`
      const before = this.#written.get(key)
      if (before !== undefined && reference.tag !== undefined && before.root !== root.digest) {
        throw new ExportError(
          `${referenceText(before)} and ${referenceText(reference)} are different images that both would be ${key} in the tree; export them to different folders, or with different values of --name-prefix`,
        )
      }
      this.#written.set(key, { ...reference, root: root.digest })
    }
    return names
  }
}
