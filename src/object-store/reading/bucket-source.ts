import { publish } from '../../observe/events.ts'
import { MAX_CACHED_MANIFEST_BYTES, parseCachedManifest } from '../../oci/cached-manifest.ts'
import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { BodyResponse } from '../../ports/object-store/body-client.ts'
import type { Intake, Source, VouchedIntake, Want } from '../../ports/source.ts'
import { parseContentRange } from '../../upstream/headers/content-range.ts'
import { Circuit, type CircuitState } from '../../upstream/limits/circuit.ts'
import type { Bucket } from '../client/bucket.ts'
import type { ObjectBodies } from '../client/object-bodies.ts'
import { SmallIntake } from '../client/small-intake.ts'
import type { ContentKeys, Layout } from '../layout/layout.ts'
import { ReadAheadMemory } from './read-ahead-memory.ts'
import { readRanges } from './read-ranges.ts'

/** The memory of the process for ranges that are read ahead. */
const RANGE_BYTES = 2 * 1024 * 1024
const MOST_RANGES = 4

type Options = { readonly signal: AbortSignal }

export interface BucketSourceOptions {
  readonly bucket: Bucket
  readonly bodies: ObjectBodies
  readonly layout: Layout
  /** How many ranges of one blob are read at a time. */
  readonly parallel: number
}

/** Brings contents from a bucket. After repeated failures the bucket is not asked for a while. */
export class BucketSource implements Source {
  readonly kind = 'object-store'
  readonly name: string
  readonly #bucket: Bucket
  readonly #bodies: ObjectBodies
  readonly #layout: Layout
  readonly #parallel: number
  readonly #memory = new ReadAheadMemory({ bytesEach: RANGE_BYTES, most: MOST_RANGES })
  readonly #circuit: Circuit
  #lastError: { readonly message: string; readonly at: number } | undefined

  constructor({ bucket, bodies, layout, parallel }: BucketSourceOptions) {
    this.name = bucket.name
    this.#bucket = bucket
    this.#bodies = bodies
    this.#layout = layout
    this.#parallel = parallel
    this.#circuit = new Circuit({
      host: bucket.name,
      onChange: (isPaused, reason) =>
        publish('object-store.paused', { bucket: bucket.name, isPaused, reason }),
    })
  }

  get state(): {
    readonly circuit: CircuitState
    readonly lastError: { message: string; at: number } | undefined
  } {
    return { circuit: this.#circuit.state, lastError: this.#lastError }
  }

  /** Whether the bucket can have contents of the repository, and is asked now. */
  canBring(want: Want): boolean {
    return this.#circuit.state.state !== 'open' && this.#layout.contentKeys(want) !== undefined
  }

  /** Whether the layout has contents of the repository at all. */
  covers(repository: Repository): boolean {
    return this.#layout.tagKey(repository, 'latest') !== undefined
  }

  async bring(want: Want, intake: VouchedIntake, { signal }: Options): Promise<void> {
    const keys = this.#layout.contentKeys(want)
    if (keys === undefined) throw this.#absent(want)
    await this.guarded(signal, () =>
      keys.isWrapped
        ? this.#bringWrapped(want, keys, intake, { signal })
        : this.#bring(want, keys, intake, { signal }),
    )
  }

  /** Asks the bucket something. What fails counts for the pause, as what is too slow for the flight does. */
  async guarded<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const outcome = await this.#circuit.run(
      async () => {
        try {
          return { value: await work() }
        } catch (thrown) {
          return { error: signal.aborted ? signal.reason : thrown }
        }
      },
      (result) => ('error' in result && isFault(result.error) ? result.error.message : undefined),
    )
    if (!('error' in outcome)) return outcome.value
    if (isFault(outcome.error)) this.#lastError = { message: outcome.error.message, at: Date.now() }
    throw outcome.error
  }

  /** Gives the size of a content that the bucket has under the name of the repository; undefined when it has not. */
  async size(want: Want, options: Options): Promise<number | undefined> {
    const keys = this.#layout.contentKeys(want)
    if (keys === undefined || keys.isWrapped) return undefined
    return this.guarded(options.signal, async () => {
      const [hasLink, head] = await Promise.all([
        this.#hasLink(keys, options),
        this.#bucket.head(keys.data, options),
      ])
      return hasLink ? head?.size : undefined
    })
  }

  /** Whether the bucket has a manifest or a blob of this digest in the repository. */
  async has(repository: Repository, digest: Digest, options: Options): Promise<boolean> {
    return this.guarded(options.signal, async () => {
      const found = await Promise.all(
        (['manifest', 'blob'] as const).map(async (kind) => {
          const keys = this.#layout.contentKeys({ kind, digest, repository })
          if (keys === undefined || !(await this.#hasLink(keys, options))) return false
          return (await this.#bucket.head(keys.data, options)) !== undefined
        }),
      )
      return found.includes(true)
    })
  }

  async #bring(want: Want, keys: ContentKeys, intake: VouchedIntake, { signal }: Options): Promise<void> {
    const start = intake.position
    const askedAt = performance.now()
    const link = this.#hasLink(keys, { signal })
    // A rejection is looked at below; one that comes earlier is not unhandled.
    link.catch(() => {})
    const first = await this.#first(keys.data, start, { signal })
    if (first === 'complete') {
      if (!(await link)) throw this.#absent(want)
      return intake.expect({ size: start, mediaType: undefined })
    }
    let isRead = false
    try {
      if (!(await link)) throw this.#absent(want)
      const { response, size, skip, end } = first
      intake.expect({ size, mediaType: undefined })
      isRead = true
      publish('object-store.answered', { bucket: this.name, ms: performance.now() - askedAt })
      await response.body.readInto(intake, { skip, limit: end - start })
      if (end >= size) return
      const etag = response.headers.get('etag')
      await readRanges({
        intake,
        start: end,
        end: size,
        parallel: this.#parallel,
        memory: this.#memory,
        read: (range, into, within) =>
          this.#readRange(keys.data, range, { into, etag, size }, { signal: within }),
        signal,
      })
    } finally {
      if (!isRead) first.response.body.dispose()
    }
  }

  /** Asks for the first range of what is missing. `complete`: nothing is missing. */
  async #first(
    key: string,
    start: number,
    { signal }: Options,
  ): Promise<{ response: BodyResponse; size: number; skip: number; end: number } | 'complete'> {
    let response: BodyResponse
    try {
      response = await this.#bodies.get(key, { start, end: start + RANGE_BYTES }, { signal })
    } catch (error) {
      if (!(error instanceof Failure) || error.details.status !== 416) throw error
      // A range of an empty object, or of one whose bytes have all come, does not exist.
      const head = await this.#bucket.head(key, { signal })
      if (head?.size === start) return 'complete'
      throw new Failure(error.code, error.message, { source: this.name, status: 416 })
    }
    const { status, headers, body } = response
    const range = parseContentRange(headers.get('content-range'))
    if (status === 206 && range?.start === start && range.total !== undefined) {
      return { response, size: range.total, skip: 0, end: range.end + 1 }
    }
    if (status === 200 && body.length !== undefined && body.length >= start) {
      return { response, size: body.length, skip: start, end: body.length }
    }
    body.dispose()
    throw this.#unexpected('answers with another range than the requested one')
  }

  async #readRange(
    key: string,
    { start, end }: { start: number; end: number },
    { into, etag, size }: { into: Intake; etag: string | undefined; size: number },
    { signal }: Options,
  ): Promise<void> {
    const response = await this.#bodies.get(key, { start, end }, { signal })
    const { headers, body } = response
    const range = parseContentRange(headers.get('content-range'))
    const isSame = etag === undefined || headers.get('etag') === etag
    if (range?.start !== start || range.end + 1 !== end || range.total !== size || !isSame) {
      body.dispose()
      throw this.#unexpected('has replaced the object while it was read')
    }
    await body.readInto(into, { skip: 0, limit: end - start })
  }

  /** A manifest of oci-registry, which is a part of JSON. */
  async #bringWrapped(
    want: Want,
    keys: ContentKeys,
    intake: VouchedIntake,
    { signal }: Options,
  ): Promise<void> {
    const response = await this.#bodies.get(keys.data, { start: 0 }, { signal })
    const text = new SmallIntake(MAX_CACHED_MANIFEST_BYTES)
    await response.body.readInto(text, { skip: 0, limit: MAX_CACHED_MANIFEST_BYTES })
    const manifest = parseCachedManifest(text.bytes.toString('utf8'))
    if (manifest === undefined || digestOf(manifest.bytes, algorithmOf(want.digest)) !== want.digest) {
      throw this.#absent(want)
    }
    intake.expect({ size: manifest.bytes.length, mediaType: undefined })
    for (let at = intake.position; at < manifest.bytes.length; ) {
      const room = intake.buffer()
      const count = manifest.bytes.copy(room, 0, at, Math.min(manifest.bytes.length, at + room.length))
      at += count
      if (!intake.filled(count) && at < manifest.bytes.length) await intake.drained()
    }
  }

  async #hasLink({ link }: ContentKeys, options: Options): Promise<boolean> {
    return link === undefined || (await this.#bucket.head(link, options)) !== undefined
  }

  #absent({ digest }: Want): Failure {
    return new Failure('absent', `${this.name} does not have ${digest}.`, { source: this.name })
  }

  #unexpected(what: string): Failure {
    return new Failure('unavailable', `${this.name} ${what}.`, { source: this.name })
  }
}

/** Whether the bucket cannot be used, rather than that it has no such object. */
function isFault(error: unknown): error is Failure {
  return error instanceof Failure && ['unavailable', 'stalled', 'denied'].includes(error.code)
}
