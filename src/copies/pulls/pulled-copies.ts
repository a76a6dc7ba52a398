import { BoundedMap } from '../../lib/bounded-map.ts'
import { networkFilter } from '../../lib/client-address.ts'
import type { CopyRecords } from '../../object-store/copy-records.ts'
import { type Events, subscribe } from '../../observe/events.ts'
import { parseDigest } from '../../oci/digest.ts'
import { isCheckRepository } from '../../oci/names/check-repository.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { repositoryFilter } from '../../oci/names/repository-filter.ts'
import type { CopyPulled } from '../options/copy-options.ts'
import { PullCounts } from './pull-counts.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MOST_IMAGES = 10_000
/** The manifest was sent, or its client was sent to it. */
const ANSWERED = [200, 307]

/** What pulls do to the copies in one bucket. */
export interface PulledBucket {
  readonly name: string
  add(reference: Reference): boolean
  drop(reference: Reference, image: string): Promise<void>
  /** Takes the error of each search for images that nobody has pulled for long; undefined: it has none. */
  report(error: unknown): void
  readonly records: CopyRecords
}

export interface PulledCopiesOptions {
  readonly pulled: CopyPulled
  readonly zone: string | undefined
  readonly bucket: PulledBucket
  /** Images that are in the bucket for another reason, too. */
  readonly isKept: (reference: Reference) => boolean
  readonly owns: (key: string) => boolean
  readonly now?: () => number
}

/** Copies what clients of this node pull often, and drops what nobody has pulled for long. */
export class PulledCopies {
  readonly #options: PulledCopiesOptions
  readonly #counts: PullCounts
  readonly #isCounted: (repository: Repository, client: string | undefined) => boolean
  /** Images that were added within a day, and whose copy was not given up. */
  readonly #copied = new BoundedMap<string, true>(MOST_IMAGES, { ttlMs: DAY_MS })
  /** Images of which the bucket knows that they are still pulled, or that are not in it because of pulls. */
  readonly #noted = new BoundedMap<string, true>(MOST_IMAGES, { ttlMs: DAY_MS })
  readonly #stopping = new AbortController()
  readonly #working = new Set<Promise<void>>()
  #unsubscribe: () => void = () => {}

  constructor(options: PulledCopiesOptions) {
    this.#options = options
    const { names, from, zones, times, withinMs } = options.pulled
    const isNamed = repositoryFilter(names)
    const isFrom = networkFilter(from)
    const isInZone = zones === undefined || zones.includes(options.zone ?? '')
    this.#counts = new PullCounts({ times, withinMs })
    this.#isCounted = (repository, client) =>
      isInZone &&
      !isCheckRepository(repository) &&
      isNamed(repository) &&
      (client === undefined || isFrom(client))
  }

  start(): void {
    this.#unsubscribe = subscribe('request.ended', (event) => this.#count(event))
  }

  /** The copy of an image was given up: its next pulls count again. */
  forget(reference: Reference): void {
    this.#copied.delete(imageOf(reference.repository, reference.tag))
  }

  /** Removes the tags of images that nobody has pulled for long, if this node does that for the bucket. Reports failures to it. */
  async dropOld({ signal }: { signal: AbortSignal }): Promise<void> {
    const { pulled, bucket, owns, now = Date.now } = this.#options
    const { dropAfterMs } = pulled
    let failure: unknown
    const note = (error: unknown): void => {
      signal.throwIfAborted()
      failure ??= error
    }
    if (dropAfterMs !== undefined && owns(`copies ${bucket.name}`)) {
      const old = bucket.records.before(now() - dropAfterMs, 'pulled', { signal })
      try {
        for await (const { image } of old) await this.#drop(image, { signal }).catch(note)
      } catch (error) {
        note(error)
      }
    }
    bucket.report(failure)
  }

  async #drop(image: string, { signal }: { signal: AbortSignal }): Promise<void> {
    const { bucket, isKept } = this.#options
    const reference = parseReference(image)
    if (reference.ok && !isKept(reference.value)) await bucket.drop(reference.value, image)
    // The record goes last, so that an interrupted removal is continued by the next one.
    await bucket.records.remove('pulled', image, { signal })
  }

  /** Resolves when the bucket knows of all pulls until now. */
  async idle(): Promise<void> {
    await Promise.all(this.#working)
  }

  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#stopping.abort()
    await this.idle()
  }

  /** Some clients ask for the manifest of a tag by HEAD, and then for its digest: so the request for the tag counts. */
  #count({ route, code, repository, reference = '', client, aborted }: Events['request.ended']): void {
    if (route !== 'manifest' || aborted || !ANSWERED.includes(code) || repository === undefined) return
    if (parseDigest(reference) !== undefined || !this.#isCounted(repository, client)) return
    const image = imageOf(repository, reference)
    if (this.#counts.add(image) && !this.#copied.has(image)) {
      // When too many images wait, its next pulls count again.
      const isAdded = this.#options.bucket.add({ repository, tag: reference, digest: undefined })
      if (isAdded) this.#copied.set(image, true)
    }
    this.#notePull(image)
  }

  /** Says in the bucket that an image is still pulled, at most once a day, if it is there because of pulls. */
  #notePull(image: string): void {
    const { pulled, bucket } = this.#options
    if (pulled.dropAfterMs === undefined || this.#noted.has(image)) return
    this.#noted.set(image, true)
    const options = { signal: this.#stopping.signal }
    const working = bucket.records
      .writtenAt('pulled', image, options)
      .then((at) => (at === undefined ? undefined : bucket.records.write('pulled', image, options)))
      // The bucket cannot be asked now: another pull says it.
      .catch(() => this.#noted.delete(image))
      .then(() => {
        this.#working.delete(working)
      })
    this.#working.add(working)
  }
}

function imageOf(repository: Repository, tag = ''): string {
  return `${repositoryKey(repository)}:${tag}`
}
