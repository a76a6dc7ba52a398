import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { Content } from '../ports/content.ts'
import { Failure } from '../ports/failure.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { LocalSource } from '../ports/local-source.ts'
import type {
  BlobAnswer,
  BlobOptions,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../ports/resolver.ts'
import type { Want } from '../ports/source.ts'
import { mergedReferrers } from './merged-referrers.ts'
import { headOf, manifestOf } from './source-answers.ts'
import type { LocalSources } from './sources.ts'

type Options = { readonly signal: AbortSignal }

/**
 * Asks the local sources after the store, and before peers and upstream. For tags the sources come first: what they have
 * under a tag is what the user of this machine means by it.
 */
export class LocalResolver implements Resolver {
  readonly #sources: readonly LocalSource[]
  readonly #served: LocalSources['served']
  readonly #stored: Pick<LocalContent, 'open' | 'state'>
  readonly #next: Resolver

  constructor(
    { list, served }: Pick<LocalSources, 'list' | 'served'>,
    stored: Pick<LocalContent, 'open' | 'state'>,
    next: Resolver,
  ) {
    this.#sources = list
    this.#served = served
    this.#stored = stored
    this.#next = next
  }

  async blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer> {
    return this.#content({ kind: 'blob', repository, digest }, options, {
      fromSource: async (content, cacheResult) => ({ content, cacheResult }),
      fromNext: () => this.#next.blob(repository, digest, options),
    })
  }

  async blobHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    return this.#content({ kind: 'blob', repository, digest }, options, {
      fromSource: headOf,
      fromNext: () => this.#next.blobHead(repository, digest, options),
    })
  }

  async manifestHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    return this.#content({ kind: 'manifest', repository, digest }, options, {
      fromSource: headOf,
      fromNext: () => this.#next.manifestHead(repository, digest, options),
    })
  }

  async manifestByDigest(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    return this.#content({ kind: 'manifest', repository, digest }, options, {
      fromSource: (content, cacheResult) => manifestOf(content, cacheResult, options),
      fromNext: () => this.#next.manifestByDigest(repository, digest, options),
    })
  }

  async manifestByTag(repository: Repository, tag: string, options: Options): Promise<ManifestAnswer> {
    const { found, failure } = await this.#ask((source) => source.tag(repository, tag, options))
    if (found !== undefined) {
      const { source, value } = found
      const cacheResult: CacheResult = { kind: 'source', source: source.name }
      const answer = await this.manifestByDigest(repository, value.digest, options)
      this.#served(repository, tag, value.digest)
      return { ...answer, cacheResult }
    }
    return this.#others(repository, failure, `no image ${repositoryKey(repository)}:${tag}`, () =>
      this.#next.manifestByTag(repository, tag, options),
    )
  }

  async tags(
    repository: Repository,
    options: Options,
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    const all = new Set<string>()
    const { failure, last } = await this.#askAll((source) => source.tags(repository, options), all)
    const isHere = all.size > 0
    const others = this.#others(repository, failure, `no repository ${repositoryKey(repository)}`, () =>
      this.#next.tags(repository, options),
    )
    const next = await (isHere ? others.catch(() => undefined) : others)
    for (const tag of next?.tags ?? []) all.add(tag)
    const cacheResult: CacheResult =
      last === undefined && next !== undefined ? next.cacheResult : { kind: 'source', source: last ?? '' }
    return { tags: [...all].sort(), cacheResult }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: Options,
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    const all = new Set<Descriptor>()
    const { failure, last } = await this.#askAll(
      (source) => source.referrers(repository, subject, options),
      all,
    )
    if (last === undefined) {
      return this.#others(repository, failure, 'no referrers', () =>
        this.#next.referrers(repository, subject, options),
      )
    }
    const next = await this.#others(repository, failure, 'no referrers', () =>
      this.#next.referrers(repository, subject, options),
    ).catch(() => undefined)
    const cacheResult: CacheResult = { kind: 'source', source: last }
    return { index: mergedReferrers([...all], next?.index), cacheResult }
  }

  async repositories(): Promise<readonly Repository[]> {
    const all = new Map<string, Repository>()
    const found = new Set<Repository>(await this.#next.repositories())
    await this.#askAll((source) => source.repositories({ signal: NEVER }), found)
    for (const repository of found) all.set(repositoryKey(repository), repository)
    return [...all.entries()]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, repository]) => repository)
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#next.isPrivate(repository)
  }

  /** Answers from the store, or else from the first source that has the content, or else from the others. */
  async #content<Answer>(
    want: Want,
    options: Options,
    how: {
      readonly fromSource: (content: Content, cacheResult: CacheResult) => Promise<Answer>
      readonly fromNext: () => Promise<Answer>
    },
  ): Promise<Answer> {
    if ((await this.#stored.state(want)) !== undefined) return how.fromNext()
    const { found, failure } = await this.#ask((source) => source.open(want, options))
    if (found !== undefined) {
      return how.fromSource(found.value, { kind: 'source', source: found.source.name })
    }
    return this.#others(want.repository, failure, `no content ${want.digest}`, how.fromNext)
  }

  /** Asks one source after the other. A source that fails is passed over, and its failure kept. */
  async #ask<Value>(ask: (source: LocalSource) => Promise<Value | undefined>): Promise<{
    readonly found: { readonly source: LocalSource; readonly value: Value } | undefined
    readonly failure: Failure | undefined
  }> {
    let failure: Failure | undefined
    for (const source of this.#sources) {
      try {
        const value = await ask(source)
        if (value !== undefined) return { found: { source, value }, failure }
      } catch (error) {
        failure = reported(source, error)
      }
    }
    return { found: undefined, failure }
  }

  /** Adds what each source has to `all`. `last`: the name of a source that had something. */
  async #askAll<Value>(
    ask: (source: LocalSource) => Promise<readonly Value[]>,
    all: Set<Value>,
  ): Promise<{ readonly last: string | undefined; readonly failure: Failure | undefined }> {
    let last: string | undefined
    let failure: Failure | undefined
    for (const source of this.#sources) {
      try {
        const values = await ask(source)
        if (values.length > 0) last = source.name
        for (const value of values) all.add(value)
      } catch (error) {
        failure = reported(source, error)
      }
    }
    return { last, failure }
  }

  /** Asks peers and upstream, unless a source alone answers for the repository. */
  async #others<Answer>(
    repository: Repository,
    failure: Failure | undefined,
    absent: string,
    next: () => Promise<Answer>,
  ): Promise<Answer> {
    const exclusive = this.#sources.find((source) => source.isExclusive(repository))
    if (exclusive !== undefined) {
      throw (
        failure ??
        new Failure('absent', `There is ${absent} in ${exclusive.name}.`, { source: exclusive.name })
      )
    }
    try {
      return await next()
    } catch (error) {
      // A source that could not be asked may have what nobody else has.
      const isAbsent = error instanceof Failure && error.code === 'absent'
      throw isAbsent && failure !== undefined ? failure : error
    }
  }
}

const NEVER = new AbortController().signal

function reported(source: LocalSource, error: unknown): Failure {
  const failure =
    error instanceof Failure
      ? error
      : new Failure('unavailable', `${source.name} cannot be read: ${String(error)}`, { cause: error })
  publish('source.failed', { source: source.name, error: failure })
  return failure
}
