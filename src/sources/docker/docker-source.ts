import { unlessAborted } from '../../lib/async/abort.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { covers, type NameRules } from '../../oci/names/name-rules.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { Catalog } from '../../ports/catalog.ts'
import type { Content } from '../../ports/content.ts'
import type { ContentReceiver } from '../../ports/content-receiver.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImageIdentity, LocalSource, LocalTag } from '../../ports/local-source.ts'
import type { Want } from '../../ports/source.ts'
import type { Compression } from './classic-image.ts'
import { ContentWriter } from './content-writer.ts'
import type { DockerClient, DockerImage } from './docker-client.ts'
import { DockerIndex, type NamedImage } from './docker-index.ts'
import { FailedSaves } from './failed-saves.ts'
import { identityOf, partsOf } from './image-digests.ts'
import { ImageImport, type ImportedImage } from './image-import.ts'
import { readStoredManifest } from './stored-manifest.ts'

export interface DockerSourceOptions {
  readonly client: DockerClient
  readonly rules: NameRules
  readonly isExclusive: boolean
  readonly compression: Compression
  readonly target: {
    readonly blobs: Pick<BlobStore, 'facts' | 'open'>
    readonly receiver: ContentReceiver
  }
  readonly catalog: Pick<Catalog, 'rememberKnownName'>
}

/** What is known of so many images; the others are looked at again. */
const MOST_IMAGES = 2_000

type Options = { readonly signal: AbortSignal }

/**
 * The images of a Docker daemon. The first request for an image has all of it saved into the store, once for all who ask,
 * and is answered from there; so the second one does not need the daemon but for what the tag refers to.
 */
export class DockerSource implements LocalSource {
  readonly name: string
  readonly #options: DockerSourceOptions
  readonly #index: DockerIndex
  readonly #imports = new SharedWork<ImportedImage>()
  /** By repository and id of the image. */
  readonly #imported = new BoundedMap<string, ImportedImage>(MOST_IMAGES)
  /** By id, which says what an image consists of. */
  readonly #inspected = new BoundedMap<string, DockerImage>(MOST_IMAGES)
  readonly #failedSaves = new FailedSaves()
  readonly #closing = new AbortController()

  constructor(options: DockerSourceOptions) {
    this.name = `docker ${options.client.name}`
    this.#options = options
    this.#index = new DockerIndex(options.client, options.rules)
  }

  isExclusive(repository: Repository): boolean {
    return this.#options.isExclusive && covers(this.#options.rules, repository)
  }

  async tag(repository: Repository, tag: string, options: Options): Promise<LocalTag | undefined> {
    const named = (await this.#index.images(repository, options.signal)).get(tag)
    if (named === undefined) return undefined
    const image = await this.#options.client.inspect(named.reference, options.signal)
    return image && this.#import(repository, named.reference, image, options)
  }

  async identify(
    repository: Repository,
    tag: string,
    { signal }: Options,
  ): Promise<ImageIdentity | undefined> {
    const named = (await this.#index.images(repository, signal)).get(tag)
    const image = named && (await this.#inspect(named, signal))
    return image && identityOf(image)
  }

  async tags(repository: Repository, { signal }: Options): Promise<readonly string[]> {
    return [...(await this.#index.images(repository, signal)).keys()]
  }

  async open({ repository, digest }: Want, options: Options): Promise<Content | undefined> {
    for (const named of await this.#imagesOf(repository, options)) {
      const imported = await this.#importIfWanted(repository, named, digest, options)
      if (imported?.contents.has(digest) === true) return this.#options.target.blobs.open(digest)
    }
    return undefined
  }

  /** Docker keeps no artifacts that refer to images. */
  async referrers(): Promise<readonly Descriptor[]> {
    return []
  }

  repositories({ signal }: Options): Promise<readonly Repository[]> {
    return this.#index.repositories(signal)
  }

  problem(): string | undefined {
    return this.#failedSaves.problem()
  }

  async close(): Promise<void> {
    this.#closing.abort(new Failure('stopping', 'The agent is shutting down.'))
    await this.#index.close()
    await this.#options.client.close()
  }

  /** Each image once, however many tags it has. */
  async #imagesOf(repository: Repository, { signal }: Options): Promise<readonly NamedImage[]> {
    const byId = new Map<string, NamedImage>()
    for (const named of (await this.#index.images(repository, signal)).values()) byId.set(named.id, named)
    return [...byId.values()]
  }

  /** undefined: the image certainly does not contain the digest, or is gone. */
  async #importIfWanted(
    repository: Repository,
    named: NamedImage,
    digest: Digest,
    options: Options,
  ): Promise<ImportedImage | undefined> {
    const known = this.#imported.get(keyOf(repository, named.id))
    if (known !== undefined && !known.contents.has(digest)) return undefined
    const image = await this.#inspect(named, options.signal)
    return image && this.#import(repository, named.reference, image, options)
  }

  async #inspect({ id, reference }: NamedImage, signal: AbortSignal): Promise<DockerImage | undefined> {
    const known = this.#inspected.get(id)
    if (known !== undefined) return known
    const image = await this.#options.client.inspect(reference, signal)
    if (image !== undefined) this.#inspected.set(image.Id, image)
    return image
  }

  /** The work goes on when the client leaves: the next one will want its result. */
  async #import(
    repository: Repository,
    reference: string,
    image: DockerImage,
    { signal }: Options,
  ): Promise<ImportedImage> {
    this.#inspected.set(image.Id, image)
    const key = keyOf(repository, image.Id)
    const known = this.#imported.get(key)
    if (known !== undefined && (await this.#areStored(known))) return known
    const { promise } = this.#imports.run(key, () => this.#tryImport(repository, reference, image))
    const imported = await unlessAborted(promise, signal)
    this.#imported.set(key, imported)
    return imported
  }

  async #tryImport(repository: Repository, reference: string, image: DockerImage): Promise<ImportedImage> {
    this.#failedSaves.check(image.Id)
    try {
      const imported = await this.#importNow(repository, reference, image)
      if (!(await this.#areStored(imported))) {
        throw new Failure('disk', 'A part was evicted before the last one was stored. Raise --max-bytes.')
      }
      this.#failedSaves.remove(image.Id)
      return imported
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure('unavailable', String(error))
      // An image that is gone costs no save.
      if (!['absent', 'stopping'].includes(failure.code)) this.#failedSaves.add(image.Id, reference, failure)
      throw error
    }
  }

  async #areStored({ contents }: ImportedImage): Promise<boolean> {
    for (const digest of contents) {
      if ((await this.#options.target.blobs.facts(digest)) === undefined) return false
    }
    return true
  }

  async #importNow(repository: Repository, reference: string, image: DockerImage): Promise<ImportedImage> {
    const { client, target, catalog, compression } = this.#options
    const work = new ImageImport({
      facts: (digest) => target.blobs.facts(digest),
      manifest: async (digest) => (await readStoredManifest(target.blobs, digest))?.manifest,
      writer: new ContentWriter(target.receiver, repository, this.name),
    })
    const root = image.Descriptor && parseDigest(image.Descriptor.digest)
    const imported =
      image.Descriptor && root
        ? await work.containerd(root, image.Descriptor.mediaType, () =>
            client.save(reference, this.#closing.signal),
          )
        : // By its id, because the tag may move meanwhile.
          await work.classic(partsOf(image), compression, () => client.save(image.Id, this.#closing.signal))
    for (const digest of imported.contents) await catalog.rememberKnownName(repository, digest)
    return imported
  }
}

function keyOf(repository: Repository, id: string): string {
  return `${repositoryKey(repository)} ${id}`
}
