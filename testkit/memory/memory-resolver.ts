import type { Digest } from '../../src/oci/digest.ts'
import { OCI_INDEX } from '../../src/oci/media-types.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type {
  BlobAnswer,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../../src/ports/resolver.ts'
import { digestOf } from './digests.ts'
import { GrowingBlob } from './growing-blob.ts'

/** A larger manifest is given as a content that is read like a blob. */
const MAX_SMALL_BYTES = 64 * 1024

/** A resolver that has what a test puts into it, fails as the test says, and counts the contents that are open. */
export class MemoryResolver implements Resolver {
  cacheResult: CacheResult = { kind: 'hit' }
  /** While it is set, every request fails with it. */
  failure: unknown
  /** While it is set, a request is answered only after it resolves, or not at all when the client leaves. */
  answersAfter: Promise<void> | undefined
  /** How many contents are open. */
  openContents = 0
  /** The registries for which the agent has credentials. */
  readonly privateRegistries = new Set<string>()
  readonly asked: string[] = []
  readonly #manifests = new Map<string, { digest: Digest; bytes: Uint8Array; mediaType: string }>()
  readonly #blobs = new Map<string, GrowingBlob>()
  readonly #tags = new Map<string, Set<string>>()
  readonly #referrers = new Map<string, Uint8Array>()
  readonly #repositories = new Map<string, Repository>()
  readonly #whenAllClosed = new Set<() => void>()

  putManifest(at: Repository, bytes: Uint8Array, mediaType: string, ...tags: string[]): Digest {
    const digest = digestOf(bytes)
    const manifest = { digest, bytes, mediaType }
    const key = this.#key(at)
    this.#manifests.set(`${key} ${digest}`, manifest)
    for (const tag of tags) {
      this.#manifests.set(`${key} ${tag}`, manifest)
      this.#tags.set(key, (this.#tags.get(key) ?? new Set()).add(tag))
    }
    return digest
  }

  putBlob(at: Repository, bytes: Buffer): Digest {
    const digest = digestOf(bytes)
    this.growBlob(at, bytes).growTo(bytes.length)
    return digest
  }

  growBlob(at: Repository, bytes: Buffer): GrowingBlob {
    const growing = new GrowingBlob(bytes)
    this.#blobs.set(`${this.#key(at)} ${digestOf(bytes)}`, growing)
    return growing
  }

  putReferrers(at: Repository, subject: Digest, descriptors: readonly object[]): void {
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: descriptors }
    this.#referrers.set(`${this.#key(at)} ${subject}`, Buffer.from(JSON.stringify(index)))
  }

  /** Resolves when no content is open. */
  async allClosed(): Promise<void> {
    while (this.openContents > 0) await new Promise<void>((resolve) => this.#whenAllClosed.add(resolve))
  }

  async blob(at: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<BlobAnswer> {
    await this.#ready('blob', at, digest, options)
    const growing = this.#found(this.#blobs, at, digest)
    return { content: this.#opened(digest, growing), cacheResult: this.cacheResult }
  }

  async blobHead(at: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer> {
    await this.#ready('blobHead', at, digest, options)
    const { bytes } = this.#found(this.#blobs, at, digest)
    return { size: bytes.length, mediaType: undefined, cacheResult: this.cacheResult }
  }

  async manifestHead(at: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer> {
    await this.#ready('manifestHead', at, digest, options)
    const { bytes, mediaType } = this.#found(this.#manifests, at, digest)
    return { size: bytes.length, mediaType, cacheResult: this.cacheResult }
  }

  manifestByDigest(
    at: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    return this.#manifest(at, digest, options)
  }

  manifestByTag(at: Repository, tag: string, options: { signal: AbortSignal }): Promise<ManifestAnswer> {
    return this.#manifest(at, tag, options)
  }

  async tags(at: Repository, options: { signal: AbortSignal }) {
    await this.#ready('tags', at, '', options)
    const tags = this.#tags.get(repositoryKey(at))
    if (tags === undefined) throw new Failure('absent', 'there is no such repository')
    return { tags: [...tags].sort(), cacheResult: this.cacheResult }
  }

  async referrers(at: Repository, subject: Digest, options: { signal: AbortSignal }) {
    await this.#ready('referrers', at, subject, options)
    return { index: this.#found(this.#referrers, at, subject), cacheResult: this.cacheResult }
  }

  async repositories(): Promise<readonly Repository[]> {
    if (this.failure !== undefined) throw this.failure
    const sorted = [...this.#repositories].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([, repository]) => repository)
  }

  async isPrivate(repository: Repository): Promise<boolean> {
    return this.privateRegistries.has(repository.registry)
  }

  async #manifest(
    at: Repository,
    reference: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    await this.#ready('manifest', at, reference, options)
    const { digest, bytes, mediaType } = this.#found(this.#manifests, at, reference)
    const size = bytes.length
    const body = size > MAX_SMALL_BYTES ? this.#opened(digest, this.#growingOf(bytes)) : bytes
    return { digest, mediaType, size, body, cacheResult: this.cacheResult }
  }

  async #ready(what: string, at: Repository, reference: string, { signal }: { signal: AbortSignal }) {
    this.asked.push(`${what} ${repositoryKey(at)} ${reference}`.trim())
    if (this.answersAfter !== undefined) {
      const gone = new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await Promise.race([this.answersAfter, gone])
      signal.throwIfAborted()
    }
    if (this.failure !== undefined) throw this.failure
  }

  #found<Value>(from: ReadonlyMap<string, Value>, at: Repository, reference: string): Value {
    const found = from.get(`${repositoryKey(at)} ${reference}`)
    if (found === undefined) throw new Failure('absent', 'upstream does not have it', { source: at.registry })
    return found
  }

  #growingOf(bytes: Uint8Array): GrowingBlob {
    const growing = new GrowingBlob(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    growing.growTo(bytes.length)
    return growing
  }

  #key(at: Repository): string {
    const key = repositoryKey(at)
    this.#repositories.set(key, at)
    return key
  }

  #opened(digest: Digest, growing: GrowingBlob): Content {
    this.openContents += 1
    let isClosed = false
    return {
      digest,
      size: growing.bytes.length,
      mediaType: undefined,
      readable: (offset, { signal }) => growing.readable(offset, signal),
      read: async (target, position) => {
        if (isClosed) throw new Error('read after close')
        return growing.bytes.copy(target, 0, position)
      },
      close: async () => {
        if (isClosed) throw new Error('closed twice')
        isClosed = true
        this.openContents -= 1
        if (this.openContents > 0) return
        for (const resolve of this.#whenAllClosed) resolve()
        this.#whenAllClosed.clear()
      },
    }
  }
}
