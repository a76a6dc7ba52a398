import { unlessAborted } from '../../lib/async/abort.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedBucket, HostedContent } from '../../ports/hosted/hosted-bucket.ts'
import type { Bucket } from '../client/bucket.ts'
import { DISTRIBUTION_ROOT, type DistributionLayout } from '../layout/distribution.ts'
import type { BucketSource } from '../reading/bucket-source.ts'
import type { ContentUpload } from '../upload/content-upload.ts'
import { HostedContents } from './hosted-contents.ts'
import { HostedTags } from './hosted-tags.ts'

const REPOSITORIES = `${DISTRIBUTION_ROOT}/repositories/`
/** A client waits for the answer, and what the node knows itself may do. */
const ANSWER_MS = 5_000
/** How long a list may take, of which each page is a request. */
const LIST_MS = 20_000
/** Bounds a list of repositories. */
const MAX_FOLDERS = 10_000

type Options = { readonly signal: AbortSignal }

export interface HostedObjectsOptions {
  readonly bucket: Bucket
  readonly layout: DistributionLayout
  readonly contents: ContentUpload
  readonly source: BucketSource
  /** How long an answer may take for which a client waits. */
  readonly answerMs?: number | undefined
}

/**
 * The hosted repositories of a bucket. Questions have deadlines, and count for the pause of the bucket; writes are sent while it
 * is paused, too, because there is nobody else to ask.
 */
export class HostedObjects implements HostedBucket {
  readonly name: string
  readonly registry: string | undefined
  readonly #bucket: Bucket
  readonly #layout: DistributionLayout
  readonly #source: BucketSource
  readonly #contents: HostedContents
  readonly #tags: HostedTags
  readonly #answerMs: number

  constructor({ bucket, layout, contents, source, answerMs = ANSWER_MS }: HostedObjectsOptions) {
    this.#answerMs = answerMs
    this.name = bucket.name
    this.registry = layout.registry
    this.#bucket = bucket
    this.#layout = layout
    this.#source = source
    this.#contents = new HostedContents({ bucket, layout, contents })
    this.#tags = new HostedTags(bucket, layout)
  }

  presence(content: HostedContent, options: Options) {
    return this.#ask(this.#answerMs, options, (signal) => this.#contents.presence(content, { signal }))
  }

  addBlob(...args: Parameters<HostedBucket['addBlob']>): Promise<void> {
    return this.#contents.addBlob(...args)
  }

  mountBlob(...args: Parameters<HostedBucket['mountBlob']>): Promise<boolean> {
    return this.#contents.mountBlob(...args)
  }

  addManifest(...args: Parameters<HostedBucket['addManifest']>): Promise<void> {
    return this.#contents.addManifest(...args)
  }

  /** A deletion of the manifest removes its link, and then the tags that it finds. So the link is looked at after the tag is set. */
  async setTag(...[repository, tag, digest, options]: Parameters<HostedBucket['setTag']>): Promise<void> {
    const manifest = { repository, kind: 'manifest', digest } as const
    await this.#tags.set(repository, tag, digest, options)
    if (!(await this.#contents.isLinked(manifest, options))) await this.#contents.link(manifest, options)
  }

  tag(...[repository, tag, options]: Parameters<HostedBucket['tag']>) {
    return this.#ask(this.#answerMs, options, (signal) => this.#tags.get(repository, tag, { signal }))
  }

  tags(repository: Repository, options: Options): Promise<readonly string[] | undefined> {
    return this.#ask(LIST_MS, options, async (signal) => {
      const names = await this.#tags.names(repository, { signal })
      if (names.length > 0) return names
      const folder = this.#layout.repositoryFolder(repository)
      if (folder === undefined) return undefined
      const { objects } = await this.#bucket.firstPage(folder, { most: 1, signal })
      return objects.length === 0 ? undefined : names
    })
  }

  referrers(...[repository, subject, options]: Parameters<HostedBucket['referrers']>) {
    return this.#ask(LIST_MS, options, (signal) => this.#contents.referrers(repository, subject, { signal }))
  }

  repositories(...[isWanted, options]: Parameters<HostedBucket['repositories']>) {
    return this.#ask(LIST_MS, options, async (signal) => {
      const found: Repository[] = []
      for await (const path of this.#repositoryPaths('', isWanted, { left: MAX_FOLDERS, signal })) {
        const repository = this.#layout.repositoryAt(path)
        if (repository !== undefined) found.push(repository)
      }
      return found
    })
  }

  removeTag(...[repository, tag, options]: Parameters<HostedBucket['removeTag']>): Promise<boolean> {
    return this.#tags.remove(repository, tag, options)
  }

  /**
   * Tags go before the link of their manifest, so that an interrupted removal leaves none that refers to nothing; and those that
   * were set meanwhile go after it (`setTag`). What an earlier removal has left goes although the link is gone.
   */
  async remove(content: HostedContent, options: Options): Promise<boolean> {
    const { repository, kind, digest } = content
    if (kind === 'blob') return this.#contents.unlink(content, options)
    const hadTags = await this.#tags.removeAllOf(repository, digest, options)
    const wasThere = await this.#contents.unlink(content, options)
    const hadNewTags = await this.#tags.removeAllOf(repository, digest, options)
    return hadTags || wasThere || hadNewTags
  }

  /** Gives the paths of the folders that are repositories, of those registries. */
  async *#repositoryPaths(
    above: string,
    isWanted: (registry: string) => boolean,
    budget: { left: number; readonly signal: AbortSignal },
  ): AsyncGenerator<string> {
    const below: string[] = []
    let isRepository = false
    for await (const folder of this.#bucket.folders(`${REPOSITORIES}${above}`, budget)) {
      // No part of a name begins with an underscore.
      if (folder.startsWith('_')) isRepository = true
      else below.push(folder)
    }
    if (isRepository) yield above.slice(0, -1)
    const isOfOne = this.#layout.registry !== undefined
    for (const folder of below) {
      if (above === '' && !isOfOne && !isWanted(parseRegistryHost(folder) ?? '')) continue
      budget.left -= 1
      if (budget.left < 0) return
      yield* this.#repositoryPaths(`${above}${folder}/`, isWanted, budget)
    }
  }

  async #ask<Answer>(
    ms: number,
    { signal }: Options,
    ask: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const slow = new AbortController()
    const timer = setTimeout(() => {
      const message = `${this.name} has not answered within ${ms / 1000} s.`
      slow.abort(new Failure('stalled', message, { source: this.name }))
    }, ms)
    const within = AbortSignal.any([signal, slow.signal])
    try {
      return await this.#source.guarded(within, () => unlessAborted(ask(within), within))
    } finally {
      clearTimeout(timer)
    }
  }
}
