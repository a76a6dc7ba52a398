import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts'
import { isTag } from '../oci/names/names.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure, type FailureCode } from '../ports/failure.ts'
import type { ImageReader, ReadManifest } from './readers/image-reader.ts'

/** For registries without a referrers API, cosign uses tags such as `sha256-<hex>.sig`. */
const COSIGN_SUFFIXES = ['sig', 'att', 'sbom']
/** Failures after which it is not known whether there are referrers. */
const UNANSWERED: ReadonlySet<FailureCode> = new Set(['unavailable', 'stalled', 'busy', 'denied', 'absent'])

type Options = { readonly signal: AbortSignal }

/**
 * Asks for the referrers of manifests. When nobody answers, an image is exported without them: it may be one that was
 * imported where no registry can be reached. The export then says so.
 */
export class ReferrerLookup {
  readonly #reader: ImageReader
  readonly #repository: Repository
  readonly #options: Options
  #problem: string | undefined

  constructor(reader: ImageReader, repository: Repository, options: Options) {
    this.#reader = reader
    this.#repository = repository
    this.#options = options
  }

  /** Why referrers may be missing; undefined: every question was answered. */
  get problem(): string | undefined {
    return this.#problem
  }

  async listed(subject: Digest): Promise<readonly Digest[]> {
    const { signal } = this.#options
    const listed = await this.#answered(() => this.#reader.referrers(this.#repository, subject, { signal }))
    return listed?.map(({ digest }) => digest) ?? []
  }

  /** The manifests under the tags of cosign. */
  async tagged(
    subject: Digest,
  ): Promise<readonly { readonly tag: string; readonly manifest: ReadManifest }[]> {
    const found: { readonly tag: string; readonly manifest: ReadManifest }[] = []
    for (const suffix of COSIGN_SUFFIXES) {
      const tag = `${algorithmOf(subject)}-${hexOf(subject)}.${suffix}`
      // With SHA-512 the name is longer than a tag may be.
      if (!isTag(tag)) continue
      const manifest = await this.#answered(() => this.#ifThere(tag))
      if (manifest !== undefined) found.push({ tag, manifest })
    }
    return found
  }

  async #ifThere(tag: string): Promise<ReadManifest | undefined> {
    try {
      return await this.#reader.manifest(this.#repository, tag, this.#options)
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return undefined
      throw error
    }
  }

  /** undefined: nobody has answered. */
  async #answered<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await ask()
    } catch (error) {
      this.#options.signal.throwIfAborted()
      if (!(error instanceof Failure) || !UNANSWERED.has(error.code)) throw error
      this.#problem ??= error.message
      return undefined
    }
  }
}
