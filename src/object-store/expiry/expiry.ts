import type { Digest } from '../../oci/digest.ts'
import { fallbackTagIn } from '../../oci/referrers.ts'
import type { Bucket } from '../client/bucket.ts'
import { DISTRIBUTION_ROOT, type DistributionLayout } from '../layout/distribution.ts'
import { BucketLock, type HeldOptions } from './bucket-lock.ts'
import {
  BucketRepositories,
  type ContentLink,
  digestOfDataKey,
  type RepositoryContents,
  type RepositoryTag,
} from './bucket-repository.ts'
import type { ExpiryRules } from './expiry-rules.ts'
import { neededBy } from './needed.ts'

/** What is removed from a bucket, or would be. */
export type Expired =
  | {
      readonly is: 'tag'
      readonly repository: string
      readonly tag: string
      readonly digest: Digest
      readonly why: string
    }
  | {
      readonly is: 'unlinked'
      readonly repository: string
      readonly digest: Digest
      readonly kind: 'manifest' | 'blob'
      readonly why: string
    }
  | { readonly is: 'freed'; readonly digest: Digest; readonly size: number; readonly why: string }
  /** Nothing is removed from the repository. */
  | { readonly is: 'skipped'; readonly repository: string; readonly why: string }

export interface ExpiryOptions {
  readonly bucket: Bucket
  readonly layout: DistributionLayout
  readonly rules: ExpiryRules
  /** What no tag needs stays so long after it was last written. */
  readonly graceMs: number
  /** Nothing is removed; the results say what would be. */
  readonly isDryRun: boolean
  /** Default: that of `BucketLock`. */
  readonly renewLockMs?: number
}

/**
 * Removes from a bucket the tags that the rules do not keep, then what no tag of their repositories needs, then the bytes that
 * no repository has. Agents and registries write meanwhile: whoever comes to need an old object makes it young first, and each
 * object is looked at again just before it is removed.
 */
export class Expiry {
  readonly #options: ExpiryOptions
  readonly #repositories: BucketRepositories
  readonly #lock: BucketLock
  /** The contents that a repository still has. */
  readonly #linked = new Set<Digest>()
  /** What is older goes, by the time of the server. */
  #before = 0

  constructor(options: ExpiryOptions) {
    this.#options = options
    this.#repositories = new BucketRepositories(options.bucket, options.layout)
    this.#lock = new BucketLock(options.bucket, options.renewLockMs)
  }

  async *run({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<Expired> {
    const { bucket, graceMs, isDryRun } = this.#options
    const hold = async () => (isDryRun ? undefined : this.#lock.renew({ signal }))
    const options: HeldOptions = { signal, hold }
    const { serverTime = Date.now() } = await bucket.firstPage(`${DISTRIBUTION_ROOT}/`, {
      most: 1,
      ...options,
    })
    this.#before = serverTime - graceMs
    if (!isDryRun) await this.#lock.take(serverTime, options)
    let isFailed = true
    try {
      for await (const path of this.#repositories.paths(options))
        yield* this.#expire(path, serverTime, options)
      yield* this.#free(options)
      isFailed = false
    } finally {
      // The first error counts.
      if (!isDryRun)
        await this.#lock.release().catch((error: unknown) => (isFailed ? undefined : raise(error)))
    }
  }

  async *#expire(path: string, now: number, options: HeldOptions): AsyncGenerator<Expired> {
    const { rules } = this.#options
    const contents = await this.#repositories.read(path, options)
    const { manifests, blobs, tags, unreadable } = contents
    if (unreadable !== undefined) {
      this.#keepAll(contents)
      const why = `the link of the tag ${unreadable} names no digest, so what it needs is unknown: set it again, or remove it`
      yield { is: 'skipped', repository: path, why }
      return
    }
    const unkept = rules.expired(contents.repository, tags, now)
    const unkeptTags = new Set(unkept.map(({ tag }) => tag))
    const isYoung = ({ modifiedAt }: ContentLink): boolean => modifiedAt > this.#before
    const roots = [
      ...tags.filter((tag) => !unkeptTags.has(tag)).map(({ digest }) => digest),
      ...manifests.filter(isYoung).map(({ digest }) => digest),
    ]
    const referrerTags = tags.filter(({ tag }) => fallbackTagIn(tag) !== undefined)
    const needed = await neededBy(this.#options.bucket, { roots, manifests, referrerTags }, options)
    if (needed.lost !== undefined) {
      this.#keepAll(contents)
      const why = `the manifest ${needed.lost} cannot be read, so what it needs is unknown: upload it again, or remove it`
      yield { is: 'skipped', repository: path, why }
      return
    }
    const expired = unkept.filter(({ tag }) => !needed.subjects.has(fallbackTagIn(tag.tag) ?? ''))
    // Tags of images go first, so that no signature goes whose image was pulled meanwhile, and stays.
    const isOfImage = ({ tag }: (typeof expired)[number]) => fallbackTagIn(tag.tag) === undefined
    for (const { tag, why } of [
      ...expired.filter(isOfImage),
      ...expired.filter((each) => !isOfImage(each)),
    ]) {
      if (!(await this.#removeTag(tag, options))) break
      yield { is: 'tag', repository: path, tag: tag.tag, digest: tag.digest, why }
    }
    const gone = new Set(expired.map(({ tag }) => tag.tag))
    if (!(await this.#hasSameTags(contents, gone, options))) {
      this.#keepAll(contents)
      yield { is: 'skipped', repository: path, why: 'its tags have changed meanwhile' }
      return
    }
    for (const [kind, links] of [['manifest', manifests] as const, ['blob', blobs] as const]) {
      for (const link of links) {
        const isRemoved = !needed.digests.has(link.digest) && (await this.#removeOld(link.key, options))
        if (!isRemoved) this.#linked.add(link.digest)
        else yield { is: 'unlinked', repository: path, digest: link.digest, kind, why: 'no tag needs it' }
      }
    }
  }

  /** False: the tag was written, or removed, since it was decided that it goes. */
  async #removeTag(tag: RepositoryTag, options: HeldOptions): Promise<boolean> {
    const { bucket, isDryRun } = this.#options
    const [key = '', ...index] = tag.keys
    // The link itself goes last, so that a run that is interrupted is continued by the next one.
    for (const each of [...index, key]) {
      await options.hold()
      const head = await bucket.head(key, options)
      // A listing says the time to the millisecond, a head to the second.
      if (head === undefined || head.modifiedAt - tag.modifiedAt > 1000) return false
      if (!isDryRun) await bucket.delete([each], options)
    }
    return true
  }

  /** Whether the tags are those for which it was decided what is needed. */
  async #hasSameTags(
    { path, tags }: RepositoryContents,
    gone: ReadonlySet<string>,
    options: HeldOptions,
  ): Promise<boolean> {
    const known = new Map(tags.map(({ tag, digest }) => [tag, digest]))
    const now = await this.#repositories.tags(path, options)
    if (now.unreadable !== undefined) return false
    return now.tags.every(
      ({ tag, digest }) => known.get(tag) === digest && (this.#options.isDryRun || !gone.has(tag)),
    )
  }

  /** Removes the bytes that no repository has. */
  async *#free(options: HeldOptions): AsyncGenerator<Expired> {
    const { bucket } = this.#options
    for await (const { key, size } of bucket.list(`${DISTRIBUTION_ROOT}/blobs/`, options)) {
      await options.hold()
      const digest = digestOfDataKey(key)
      if (digest === undefined || this.#linked.has(digest)) continue
      if (await this.#removeOld(key, options))
        yield { is: 'freed', digest, size, why: 'no repository has it' }
    }
  }

  /** Removes an object unless it is young by now. */
  async #removeOld(key: string, options: HeldOptions): Promise<boolean> {
    const { bucket, isDryRun } = this.#options
    await options.hold()
    const head = await bucket.head(key, options)
    if (head === undefined || head.modifiedAt > this.#before) return false
    if (!isDryRun) await bucket.delete([key], options)
    return true
  }

  #keepAll({ manifests, blobs }: RepositoryContents): void {
    for (const { digest } of [...manifests, ...blobs]) this.#linked.add(digest)
  }
}

function raise(error: unknown): never {
  throw error
}
