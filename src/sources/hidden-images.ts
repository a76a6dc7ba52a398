import { unlessAborted } from '../lib/async/abort.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { ImageIdentity, LocalSource } from '../ports/local-source.ts'

/** An image of a source that is not served, because a source before it has another one under the same name. */
export interface HiddenImage {
  /** Such as `docker.io/acme/app:v1`. */
  readonly image: string
  readonly digest: Digest
  /** The source whose image is served. */
  readonly servedBy: string
  readonly servedDigest: Digest
}

export type ComparedSource = Pick<LocalSource, 'name' | 'tags' | 'identify'>

interface ImageName {
  readonly repository: Repository
  readonly tag: string
}

/** What a comparison of all images found. */
export interface Comparison {
  /** By the number of the source. */
  readonly hidden: readonly (readonly HiddenImage[])[]
  /** false: it has not ended, or was cut before all images were compared. */
  readonly isComplete: boolean
}

/** An image that was compared is not compared again for this long, unless its tag gives another digest. */
const COMPARED_MS = 60_000
/** The sources have this long to say what they have under one name, or under all. No client waits for it. */
const PATIENCE_MS = 60_000
/** After a comparison of all images, the next one is not begun for this long. */
const COMPARED_ALL_MS = 15_000
const MOST_WAITING = 1_000
const MOST_REMEMBERED = 2_000
/** A report names so many hidden images of a source at most. */
const MOST_LISTED = 100

/**
 * Finds images of different sources that have the same name, of which only the first one is served. Publishes
 * `source.hidden` once for each name and pair of digests.
 */
export class HiddenImages {
  readonly #sources: readonly ComparedSource[]
  readonly #now: () => number
  readonly #published = new BoundedMap<string, true>(MOST_REMEMBERED)
  /** What the tags of images gave when these were compared. */
  readonly #compared: BoundedMap<string, Digest>
  readonly #waiting = new Map<string, ImageName>()
  readonly #closing = new AbortController()
  #comparing: Promise<void> | undefined
  #comparingAll: Promise<void> | undefined
  #last: { readonly endedAt: number; readonly comparison: Comparison } | undefined

  /** `now`: the time in milliseconds. */
  constructor(sources: readonly ComparedSource[], now: () => number = () => performance.now()) {
    this.#sources = sources
    this.#now = now
    this.#compared = new BoundedMap(MOST_REMEMBERED, { ttlMs: COMPARED_MS, now })
  }

  /** Compares an image that was just served with what the other sources have, later and not for each pull. */
  served(repository: Repository, tag: string, digest: Digest): void {
    if (this.#sources.length < 2 || this.#waiting.size >= MOST_WAITING) return
    const image = imageText({ repository, tag })
    if (this.#compared.get(image) === digest) return
    this.#compared.set(image, digest)
    this.#waiting.set(image, { repository, tag })
    this.#comparing ??= this.#compareWaiting()
  }

  /**
   * What the last comparison of all images found. Begins the next one, of the images in these repositories, if the last one
   * is old, and does not wait for it.
   */
  latest(repositories: readonly (readonly Repository[])[]): Comparison {
    if (this.#sources.length < 2) return { hidden: this.#sources.map(() => []), isComplete: true }
    const last = this.#last
    if (last === undefined || this.#now() - last.endedAt >= COMPARED_ALL_MS)
      this.#comparingAll ??= this.#compareAll(repositories)
    return last?.comparison ?? { hidden: this.#sources.map(() => []), isComplete: false }
  }

  /** Compares the images in these repositories. At the end of `signal` it gives what was found so far. */
  async find(repositories: readonly (readonly Repository[])[], signal: AbortSignal): Promise<Comparison> {
    const found = this.#sources.map((): HiddenImage[] => [])
    for (const repository of repeated(repositories.flat(), repositoryKey)) {
      if (signal.aborted) break
      for (const tag of await this.#sharedTags(repository, signal)) {
        if (signal.aborted) break
        const hidden = await this.#compare({ repository, tag }, signal)
        for (const [source, image] of hidden) {
          const list = found[source]
          if (list !== undefined && list.length < MOST_LISTED) list.push(image)
        }
      }
    }
    return { hidden: found, isComplete: !signal.aborted }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([this.#comparing, this.#comparingAll])
  }

  async #compareAll(repositories: readonly (readonly Repository[])[]): Promise<void> {
    const comparison = await this.find(repositories, this.#limit())
    this.#last = { endedAt: this.#now(), comparison }
    this.#comparingAll = undefined
  }

  async #compareWaiting(): Promise<void> {
    for (const [image, name] of this.#waiting) {
      this.#waiting.delete(image)
      if (this.#closing.signal.aborted) break
      await this.#compare(name, this.#limit())
    }
    this.#comparing = undefined
  }

  #limit(): AbortSignal {
    return AbortSignal.any([this.#closing.signal, AbortSignal.timeout(PATIENCE_MS)])
  }

  /** The tags of a repository that two sources have. */
  async #sharedTags(repository: Repository, signal: AbortSignal): Promise<readonly string[]> {
    const all = await Promise.all(
      this.#sources.map((source) =>
        unlessAborted(source.tags(repository, { signal }), signal).catch((): readonly string[] => []),
      ),
    )
    return repeated(all.flat(), (tag) => tag)
  }

  /** The hidden images under one name, by the number of their source. */
  async #compare(name: ImageName, signal: AbortSignal): Promise<ReadonlyMap<number, HiddenImage>> {
    const hidden = new Map<number, HiddenImage>()
    const identities = await this.#identities(name, signal)
    const first = identities.findIndex((identity) => identity !== undefined)
    const [served, servedBy] = [identities[first], this.#sources[first]?.name]
    if (served === undefined || servedBy === undefined) return hidden
    for (const [source, other] of identities.entries()) {
      if (other === undefined || !areDifferent(served, other)) continue
      const [digest, servedDigest] = [digestOf(other), digestOf(served)]
      if (digest === undefined || servedDigest === undefined) continue
      const found: HiddenImage = { image: imageText(name), digest, servedBy, servedDigest }
      hidden.set(source, found)
      this.#publish(found, this.#sources[source]?.name ?? '')
    }
    return hidden
  }

  /** Nothing if a source cannot say now what it has: without it, the first one is not known. */
  async #identities(
    { repository, tag }: ImageName,
    signal: AbortSignal,
  ): Promise<readonly (ImageIdentity | undefined)[]> {
    try {
      return await Promise.all(
        this.#sources.map((source) => unlessAborted(source.identify(repository, tag, { signal }), signal)),
      )
    } catch {
      return []
    }
  }

  #publish(hidden: HiddenImage, source: string): void {
    const key = `${hidden.image} ${hidden.servedDigest} ${hidden.digest}`
    if (this.#published.has(key)) return
    this.#published.set(key, true)
    publish('source.hidden', { ...hidden, source })
  }
}

/** An image of Docker without a manifest is compared by its config. What cannot be compared counts as the same. */
function areDifferent(one: ImageIdentity, other: ImageIdentity): boolean {
  if (one.manifest !== undefined && other.manifest !== undefined) return one.manifest !== other.manifest
  if (one.configs.length === 0 || other.configs.length === 0) return false
  return !one.configs.some((config) => other.configs.includes(config))
}

function digestOf({ manifest, configs }: ImageIdentity): Digest | undefined {
  return manifest ?? configs[0]
}

function imageText({ repository, tag }: ImageName): string {
  return `${repositoryKey(repository)}:${tag}`
}

/** Each value that is there twice or more, once. */
function repeated<Value>(values: readonly Value[], keyOf: (value: Value) => string): readonly Value[] {
  const seen = new Set<string>()
  const found = new Map<string, Value>()
  for (const value of values) {
    const key = keyOf(value)
    if (seen.has(key)) found.set(key, value)
    seen.add(key)
  }
  return [...found.values()]
}
