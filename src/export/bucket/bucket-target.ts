import { mapConcurrently } from '../../lib/async/map-concurrently.ts'
import type { BucketCopy } from '../../object-store/copy.ts'
import { ExportError } from '../targets/export-error.ts'
import type { ExportImage, ExportTarget, ImageWriter } from '../targets/target.ts'

const MOST_LINKS_AT_ONCE = 4

/** Writes images into a bucket. A tag is set once all that its image needs is there. */
export class BucketTarget implements ExportTarget {
  readonly isConcurrent = true
  readonly #copy: BucketCopy

  constructor(copy: BucketCopy) {
    this.#copy = copy
  }

  get source(): string {
    return this.#copy.name
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    const { registry } = image.reference.repository
    if (!this.#copy.holds(image.reference.repository)) {
      throw new ExportError(
        `the bucket has the repositories of one registry (objectStore.registry), which is not ${registry}; copy it to another bucket or prefix`,
      )
    }
    return {
      has: (blob) => this.#copy.has(image.reference.repository, blob),
      add: (blob, chunks) => this.#copy.addBytes(blob, chunks),
      commit: () => this.#commit(image),
    }
  }

  async finish(): Promise<void> {}

  close(): Promise<void> {
    return this.#copy.close()
  }

  async #commit({ reference, root, manifests, referrerTags, blobs }: ExportImage): Promise<void> {
    const copy = this.#copy
    const { repository, tag } = reference
    const link = ({ digest }: (typeof blobs)[number]) => copy.link(repository, 'blob', digest)
    for await (const _ of mapConcurrently(blobs, MOST_LINKS_AT_ONCE, link));
    for (const manifest of manifests) await copy.addManifest(repository, manifest)
    for (const [name, { digest }] of referrerTags) await copy.tag(repository, name, digest)
    if (tag !== undefined) await copy.tag(repository, tag, root.digest)
  }
}
