import { readManifestBody } from '../fetch/manifests/manifest-body.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Content } from '../ports/content.ts'
import type { ContentReceiver } from '../ports/content-receiver.ts'
import { Failure } from '../ports/failure.ts'
import type { BlobAnswer, HeadAnswer, ManifestAnswer, Resolver } from '../ports/resolver.ts'
import { ContentWriter, type ReadBytes } from './docker/content-writer.ts'

/** Where the contents of the sources are stored. */
export interface StoringTarget {
  readonly blobs: Pick<BlobStore, 'facts'>
  readonly receiver: ContentReceiver
  readonly catalog: Pick<Catalog, 'tag' | 'rememberTag' | 'rememberKnownName'>
}

type Options = { readonly signal: AbortSignal }

/**
 * Stores what a local source has before it answers, and remembers its tags as imported ones. What is warm is in the store:
 * there it can be pinned, and stays when the file or the daemon that it came from is gone.
 */
export class StoringResolver implements Resolver {
  /** Asks the sources between the store and the registry. */
  readonly #resolver: Resolver
  readonly #target: StoringTarget

  constructor(resolver: Resolver, target: StoringTarget) {
    this.#resolver = resolver
    this.#target = target
  }

  async blob(repository: Repository, digest: Digest, options: Options): Promise<BlobAnswer> {
    const answer = await this.#resolver.blob(repository, digest, options)
    const { content, cacheResult } = answer
    if (cacheResult.kind !== 'source') return answer
    try {
      await this.#storeBlob(repository, content, cacheResult.source, options)
    } catch (error) {
      // The source does not offer a wrong file again, so that the next one who is asked brings the content.
      if (!(error instanceof Failure) || error.code !== 'corrupt') throw error
    } finally {
      await content.close()
    }
    const stored = await this.#resolver.blob(repository, digest, options)
    if (stored.cacheResult.kind !== 'source') return stored
    await stored.content.close()
    throw evicted(digest)
  }

  async manifestByDigest(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    const answer = await this.#resolver.manifestByDigest(repository, digest, options)
    if (answer.cacheResult.kind !== 'source') return answer
    await this.#storeManifest(repository, answer, answer.cacheResult.source, options)
    return this.#stored(repository, digest, options)
  }

  async manifestByTag(repository: Repository, tag: string, options: Options): Promise<ManifestAnswer> {
    const answer = await this.#resolver.manifestByTag(repository, tag, options)
    if (answer.cacheResult.kind !== 'source') return answer
    const { digest, mediaType } = answer
    await this.#storeManifest(repository, answer, answer.cacheResult.source, options)
    const before = await this.#target.catalog.tag(repository, tag)
    if (before?.digest !== digest) {
      const now = Date.now()
      const record = { digest, mediaType, checkedAt: now, importedAt: now }
      await this.#target.catalog.rememberTag(repository, tag, record)
    }
    return this.#stored(repository, digest, options)
  }

  blobHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    return this.#resolver.blobHead(repository, digest, options)
  }

  manifestHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    return this.#resolver.manifestHead(repository, digest, options)
  }

  tags(repository: Repository, options: Options): ReturnType<Resolver['tags']> {
    return this.#resolver.tags(repository, options)
  }

  referrers(repository: Repository, subject: Digest, options: Options): ReturnType<Resolver['referrers']> {
    return this.#resolver.referrers(repository, subject, options)
  }

  repositories(): Promise<readonly Repository[]> {
    return this.#resolver.repositories()
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#resolver.isPrivate(repository)
  }

  async #stored(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    const stored = await this.#resolver.manifestByDigest(repository, digest, options)
    if (stored.cacheResult.kind !== 'source') return stored
    if (!(stored.body instanceof Uint8Array)) await stored.body.close()
    throw evicted(digest)
  }

  async #storeBlob(
    repository: Repository,
    content: Content,
    source: string,
    { signal }: Options,
  ): Promise<void> {
    const { digest, size } = content
    if (await this.#isStored(repository, digest)) return
    let position = 0
    const read: ReadBytes = async (target) => {
      signal.throwIfAborted()
      if (position === size) return 0
      const readable = await content.readable(position, { signal })
      const count = await content.read(target.subarray(0, readable - position), position)
      if (count === 0)
        throw new Failure('unavailable', `${source}: ${digest} has become shorter.`, { source })
      position += count
      return count
    }
    const writer = new ContentWriter(this.#target.receiver, repository, source)
    await writer.writeBlob(read, size, (found) => found === digest, algorithmOf(digest))
  }

  async #storeManifest(
    repository: Repository,
    answer: ManifestAnswer,
    source: string,
    options: Options,
  ): Promise<void> {
    const { digest, mediaType } = answer
    const bytes = await readManifestBody(answer, options)
    if (await this.#isStored(repository, digest)) return
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok)
      throw new Failure('unsupported', `${source}: ${digest} is unusable: ${manifest.problem}.`)
    const writer = new ContentWriter(this.#target.receiver, repository, source)
    const isWanted = (found: Digest): boolean => found === digest
    await writer.writeManifest(bytes, mediaType, manifest.value, isWanted, algorithmOf(digest))
  }

  /** Content that is stored under the name of another repository belongs to this one, too: the source has it there. */
  async #isStored(repository: Repository, digest: Digest): Promise<boolean> {
    if ((await this.#target.blobs.facts(digest)) === undefined) return false
    await this.#target.catalog.rememberKnownName(repository, digest)
    return true
  }
}

function evicted(digest: Digest): Failure {
  return new Failure('disk', `${digest} was evicted as soon as it was stored. Raise --max-bytes.`)
}
