import { BoundedMap } from '../lib/bounded-map.ts'
import type { Digest } from '../oci/digest.ts'
import { isCheckRepository } from '../oci/names/check-repository.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { Content } from '../ports/content.ts'
import { Failure } from '../ports/failure.ts'
import type {
  BlobAnswer,
  BlobOptions,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../ports/resolver.ts'
import { type CheckContent, checkImage } from './check-image.ts'

type Options = { readonly signal: AbortSignal }

const HIT: CacheResult = { kind: 'hit' }
/** A runtime asks for the parts of an image right after its tag. */
const MAX_CONTENTS = 64
/** The architectures as OCI names them, by Node's names. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Answers for the check image, of which every tag exists; all other repositories are the next resolver's. */
export class CheckResolver implements Resolver {
  readonly #next: Resolver
  readonly #contents = new BoundedMap<Digest, CheckContent>(MAX_CONTENTS)

  constructor(next: Resolver) {
    this.#next = next
  }

  async blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer> {
    if (!isCheckRepository(repository)) return this.#next.blob(repository, digest, options)
    return { content: contentOf(this.#find(repository, digest)), cacheResult: HIT }
  }

  async blobHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    if (!isCheckRepository(repository)) return this.#next.blobHead(repository, digest, options)
    return headOf(this.#find(repository, digest))
  }

  async manifestHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    if (!isCheckRepository(repository)) return this.#next.manifestHead(repository, digest, options)
    return headOf(this.#find(repository, digest))
  }

  async manifestByDigest(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    if (!isCheckRepository(repository)) return this.#next.manifestByDigest(repository, digest, options)
    return manifestOf(this.#find(repository, digest))
  }

  async manifestByTag(repository: Repository, tag: string, options: Options): Promise<ManifestAnswer> {
    if (!isCheckRepository(repository)) return this.#next.manifestByTag(repository, tag, options)
    const { manifest, blobs } = checkImage(tag, ARCHITECTURES[process.arch] ?? process.arch)
    for (const content of [...blobs, manifest]) this.#contents.set(content.digest, content)
    return manifestOf(manifest)
  }

  async tags(
    repository: Repository,
    options: Options,
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    return isCheckRepository(repository)
      ? { tags: [], cacheResult: HIT }
      : this.#next.tags(repository, options)
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: Options,
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    if (!isCheckRepository(repository)) return this.#next.referrers(repository, subject, options)
    throw new Failure('absent', 'the check image has no referrers')
  }

  repositories(): Promise<readonly Repository[]> {
    return this.#next.repositories()
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return isCheckRepository(repository) ? Promise.resolve(false) : this.#next.isPrivate(repository)
  }

  #find(repository: Repository, digest: Digest): CheckContent {
    const found = this.#contents.get(digest)
    if (found === undefined)
      throw new Failure('absent', `${repositoryKey(repository)} does not have ${digest}`)
    return found
  }
}

function headOf({ bytes, mediaType }: CheckContent): HeadAnswer {
  return { size: bytes.length, mediaType, cacheResult: HIT }
}

function manifestOf({ digest, mediaType, bytes }: CheckContent): ManifestAnswer {
  return { digest, mediaType, size: bytes.length, body: bytes, cacheResult: HIT }
}

function contentOf({ digest, mediaType, bytes }: CheckContent): Content {
  return {
    digest,
    mediaType,
    size: bytes.length,
    readable: () => bytes.length,
    async read(target, position) {
      const part = bytes.subarray(position, position + target.length)
      target.set(part)
      return part.length
    },
    async close() {},
  }
}
