import { withTicks } from '../lib/async/with-ticks.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { repositoryOf, splitTag } from '../oci/names/name-rules.ts'
import { isTag } from '../oci/names/names.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { ImportedImage, ImportLine } from '../schemas/import-report.ts'
import type { ContentWriter, ReadBytes } from '../sources/docker/content-writer.ts'
import type { DockerClient } from '../sources/docker/docker-client.ts'
import { partsOf } from '../sources/docker/image-digests.ts'
import { ImageImport, type ImportedImage as StoredImage } from '../sources/docker/image-import.ts'
import { originOf } from './content-transfer.ts'
import type { ImageNames } from './formats/import-source.ts'
import type { ImportOptions } from './import-run.ts'
import type { ImportTarget } from './target/import-target.ts'

interface Name {
  readonly repository: Repository
  readonly tag: string
}

const TICK_MS = 500

/** Imports one image of a Docker daemon, by one `save` and only if the store lacks something of it. */
export class DaemonRun {
  readonly #client: DockerClient
  readonly #reference: string
  readonly #names: ImageNames
  readonly #target: ImportTarget
  readonly #options: ImportOptions
  readonly #startedAt = performance.now()
  #bytes = 0
  /** How large Docker says the image is. */
  #ofBytes = 0
  #isDone = false

  constructor(
    client: DockerClient,
    { reference, names }: { readonly reference: string; readonly names: ImageNames },
    target: ImportTarget,
    options: ImportOptions,
  ) {
    this.#client = client
    this.#reference = reference
    this.#names = names
    this.#target = target
    this.#options = options
  }

  async *lines({ signal }: { signal: AbortSignal }): AsyncGenerator<ImportLine> {
    let hereBytes = 0
    let bytes = 0
    for await (const line of withTicks(this.#image(signal), TICK_MS, () => this.#progress())) {
      if (line.is === 'image') ({ bytes, hereBytes } = line)
      yield line
    }
    const ms = Math.round(performance.now() - this.#startedAt)
    yield { is: 'done', images: 1, failed: 0, leftOut: 0, bytes, hereBytes, movedBytes: 0, ms }
  }

  async *#image(signal: AbortSignal): AsyncGenerator<ImportLine> {
    const { repository, tag } = this.#name()
    const image = await this.#store(repository, signal)
    const { pin } = this.#options
    const missing = await this.#target.name({ repository, tag, root: image.digest, referrers: [], pin })
    if (missing.length > 0) {
      throw new Failure(
        'disk',
        `${missing[0]} was evicted during the import. Raise --max-bytes, and import it again.`,
      )
    }
    this.#isDone = true
    const sizes = await this.#target.stored([...image.contents])
    const bytes = [...sizes.values()].reduce((sum, { size }) => sum + size, 0)
    const line: ImportedImage = {
      is: 'image',
      image: `${repositoryKey(repository)}:${tag}`,
      digest: image.digest,
      error: null,
      parts: image.contents.size,
      bytes,
      hereBytes: Math.max(0, bytes - this.#bytes),
      movedBytes: 0,
      referrers: 0,
      pinned: pin,
    }
    yield line
  }

  #name(): Name {
    const { as } = this.#options
    if (as !== undefined) return as
    const { name, tag } = splitTag(this.#reference)
    const rules = { ...this.#names, namePrefix: undefined, prefixes: [] }
    const repository = name.includes('@') || name === 'sha256' ? undefined : repositoryOf(name, rules)
    if (repository !== undefined && isTag(tag)) return { repository, tag }
    throw new Failure(
      'unsupported',
      `${this.#reference} is not the name of an image with a tag. Name it with --as.`,
    )
  }

  async #store(repository: Repository, signal: AbortSignal): Promise<StoredImage> {
    const image = await this.#client.inspect(this.#reference, signal)
    if (image === undefined) {
      throw new Failure(
        'absent',
        `Docker at ${this.#client.name} has no image ${this.#reference}. docker images lists what it has.`,
      )
    }
    this.#ofBytes = image.Size ?? 0
    const work = new ImageImport({
      facts: async (digest) => (await this.#target.stored([digest])).get(digest),
      manifest: (digest) => this.#manifest(digest),
      writer: this.#writer(repository, signal),
    })
    const root = image.Descriptor && parseDigest(image.Descriptor.digest)
    if (image.Descriptor && root) {
      return work.containerd(root, image.Descriptor.mediaType, () =>
        this.#client.save(this.#reference, signal),
      )
    }
    return work.classic(partsOf(image), undefined, () => this.#client.save(image.Id, signal))
  }

  async #manifest(digest: Digest) {
    const bytes = await this.#target.manifest(digest)
    const manifest = bytes === undefined ? undefined : parseManifest(bytes)
    return manifest?.ok === true ? manifest.value : undefined
  }

  #writer(repository: Repository, signal: AbortSignal): Pick<ContentWriter, 'writeBlob' | 'writeManifest'> {
    const origin = originOf(`docker-daemon:${this.#reference}`)
    const common = { repository, digest: undefined, origin } as const
    const counted =
      (read: ReadBytes): ReadBytes =>
      async (target) => {
        const count = await read(target)
        this.#bytes += count
        return count
      }
    return {
      writeBlob: (read, most, _isWanted, algorithm = 'sha256') => {
        const content = { ...common, kind: 'blob', size: most, mediaType: undefined, algorithm } as const
        return this.#target.put(content, counted(read), { signal })
      },
      writeManifest: (bytes, mediaType, _manifest, _isWanted, algorithm = 'sha256') => {
        const content = { ...common, kind: 'manifest', size: bytes.length, mediaType, algorithm } as const
        let at = 0
        const read: ReadBytes = async (target) => {
          const count = Math.min(target.length, bytes.length - at)
          target.set(bytes.subarray(at, at + count))
          at += count
          return count
        }
        return this.#target.put(content, counted(read), { signal })
      },
    }
  }

  #progress(): ImportLine {
    const seconds = Math.max(0.001, (performance.now() - this.#startedAt) / 1000)
    const bytesPerSecond = Math.round(this.#bytes / seconds)
    return {
      is: 'progress',
      image: this.#reference,
      images: this.#isDone ? 1 : 0,
      ofImages: 1,
      bytes: this.#bytes,
      ofBytes: Math.max(this.#ofBytes, this.#bytes),
      bytesPerSecond,
    }
  }
}
