import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { HeadRequestOptions, Registry, TagHead } from '../../src/ports/registry.ts'
import type { Source, Want } from '../../src/ports/source.ts'
import { digestOf } from '../memory/digests.ts'
import { ScriptedSource, sends } from './scripted-source.ts'

/** A registry in memory that counts its requests and fails on demand. */
export class ScriptedRegistry implements Registry {
  readonly asked = { tag: 0, head: 0, tags: 0, referrers: 0, sources: 0 }
  readonly fresh = { tagTtlMs: 60_000, staleIfErrorMs: 600_000 }
  /** While set, every request fails with it. */
  failure: Failure | undefined
  /** The age of upstream's answers about tags; zero while not set. */
  ageMs: number | undefined
  /** Every request waits for this promise. */
  answersAfter: Promise<void> | undefined
  readonly privateRegistries = new Set<string>()
  referrersIndex: Uint8Array = Buffer.from('{}')
  readonly #content = new Map<Digest, { bytes: Uint8Array; mediaType: string | undefined }>()
  readonly #keptIn = new Map<Digest, string>()
  readonly #tags = new Map<string, Digest>()

  add(bytes: Uint8Array, mediaType?: string): Digest {
    const digest = digestOf(bytes)
    this.#content.set(digest, { bytes, mediaType })
    return digest
  }

  remove(digest: Digest): void {
    this.#content.delete(digest)
  }

  /** Serves the digest in this repository only. */
  keepIn(repository: Repository, digest: Digest): void {
    this.#keptIn.set(digest, repositoryKey(repository))
  }

  setTag(repository: Repository, tag: string, digest: Digest | undefined): void {
    const key = `${repositoryKey(repository)}:${tag}`
    if (digest === undefined) this.#tags.delete(key)
    else this.#tags.set(key, digest)
  }

  sources(want: Want): readonly Source[] {
    const found = this.#find(want)
    return [
      new ScriptedSource('registry.test', [
        async (attempt) => {
          this.asked.sources += 1
          await this.#applyFaults()
          if (found === undefined) throw new Failure('absent', 'no such content')
          await sends(found.bytes, found.mediaType)(attempt)
        },
      ]),
    ]
  }

  async tag(repository: Repository, tag: string): Promise<TagHead> {
    this.asked.tag += 1
    await this.#applyFaults()
    const digest = this.#tags.get(`${repositoryKey(repository)}:${tag}`)
    if (digest === undefined) throw new Failure('absent', 'no such tag')
    const found = this.#content.get(digest)
    const head = { digest, mediaType: found?.mediaType, size: found?.bytes.length }
    return this.ageMs === undefined ? head : { ...head, ageMs: this.ageMs }
  }

  async head(
    want: Want,
    _options?: HeadRequestOptions,
  ): Promise<{ size: number; mediaType: string | undefined }> {
    this.asked.head += 1
    await this.#applyFaults()
    const found = this.#find(want)
    if (found === undefined) throw new Failure('absent', 'no such content')
    return { size: found.bytes.length, mediaType: found.mediaType }
  }

  async tags(repository: Repository, _options?: HeadRequestOptions): Promise<readonly string[]> {
    this.asked.tags += 1
    await this.#applyFaults()
    const prefix = `${repositoryKey(repository)}:`
    return [...this.#tags.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort()
  }

  async referrers(): Promise<Uint8Array> {
    this.asked.referrers += 1
    await this.#applyFaults()
    return this.referrersIndex
  }

  hasCredentials(repository: Repository): Promise<boolean> {
    return this.isPrivate(repository)
  }

  async isPrivate(repository: Repository): Promise<boolean> {
    return this.privateRegistries.has(repository.registry)
  }

  freshness(): { tagTtlMs: number; staleIfErrorMs: number } {
    return this.fresh
  }

  #find({ digest, repository }: Want): { bytes: Uint8Array; mediaType: string | undefined } | undefined {
    const key = repositoryKey(repository)
    return (this.#keptIn.get(digest) ?? key) === key ? this.#content.get(digest) : undefined
  }

  async #applyFaults(): Promise<void> {
    await this.answersAfter
    if (this.failure !== undefined) throw this.failure
  }
}
