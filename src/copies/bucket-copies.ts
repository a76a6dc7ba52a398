import { BucketTarget } from '../export/bucket/bucket-target.ts'
import { exportImages } from '../export/export-run.ts'
import type { ImageReader } from '../export/readers/image-reader.ts'
import type { BucketCopy } from '../object-store/copy.ts'
import { UploadQueue } from '../object-store/upload/upload-queue.ts'
import { type Events, publish } from '../observe/events.ts'
import type { PlatformSelection } from '../oci/index-selection.ts'
import { type Reference, referenceText } from '../oci/names/reference.ts'
import { Failure } from '../ports/failure.ts'

const MOST_WAITING = 1000
const GIB = 1024 ** 3

/** Why an image is copied. */
export type CopyReason = Events['copy.ended']['cause']

/** What is done with the copies at certain times. */
type RepeatedWork = Events['copies.failing']['work']

interface CopyJob {
  readonly reference: Reference
  readonly cause: CopyReason
}

/** The copies into one bucket, for reports. Counts are since the start of the agent. */
export interface CopiesState {
  readonly bucket: string
  readonly waiting: number
  /** The image that is being copied. */
  readonly current: { readonly image: string; readonly bytes: number; readonly ofBytes: number } | undefined
  readonly copied: number
  /** Attempts that have failed. */
  readonly failed: number
  /** Images whose tag was removed because nobody has pulled them. */
  readonly dropped: number
  readonly sentBytes: number
  /** What was there already, and so was not sent. */
  readonly savedBytes: number
  /** Undefined without a price. */
  readonly savedCost: number | undefined
  /** Why the last attempt, or the last look for what is due or old, has failed; undefined when none has. */
  readonly problem: string | undefined
}

export interface BucketCopiesOptions {
  readonly copy: BucketCopy
  readonly reader: ImageReader
  readonly selection: PlatformSelection
  readonly costPerGiB: number | undefined
  /** Called when the copy of an image has failed and is not tried again. */
  readonly onGivenUp?: (reference: Reference) => void
  readonly firstPauseMs?: number
}

/** Copies images into one bucket, one after the other. What fails is tried again as long as that can help. */
export class BucketCopies {
  readonly #options: BucketCopiesOptions
  readonly #queue: UploadQueue<CopyJob>
  #current: CopiesState['current']
  #problem: string | undefined
  readonly #workProblems = new Map<RepeatedWork, string>()
  readonly #counts = { copied: 0, failed: 0, dropped: 0, sentBytes: 0, savedBytes: 0 }

  constructor(options: BucketCopiesOptions) {
    this.#options = options
    const { firstPauseMs, onGivenUp } = options
    this.#queue = new UploadQueue({
      concurrency: 1,
      most: MOST_WAITING,
      keyOf: ({ reference }) => keyOf(reference),
      // A later notification names a later digest. A schedule and pulls name none, so they replace no notification.
      preferred: (waiting, added) =>
        added.reference.digest === undefined && waiting.reference.digest !== undefined ? waiting : added,
      run: (job, within) => this.#run(job, within),
      onFailing: () => {},
      onGivenUp: ({ reference }) => onGivenUp?.(reference),
      ...(firstPauseMs === undefined ? {} : { firstPauseMs }),
    })
  }

  get state(): CopiesState {
    const { copy, costPerGiB } = this.#options
    const { savedBytes } = this.#counts
    return {
      bucket: copy.name,
      waiting: this.#queue.waiting,
      current: this.#current,
      ...this.#counts,
      savedCost: costPerGiB === undefined ? undefined : (savedBytes / GIB) * costPerGiB,
      problem: this.#problem ?? this.#workProblems.values().next().value,
    }
  }

  /** Whether the image waits, or is being copied. */
  has(reference: Reference): boolean {
    return this.#queue.has(keyOf(reference))
  }

  /** False: too many images wait. */
  add(reference: Reference, cause: CopyReason): boolean {
    return this.#queue.add({ reference, cause })
  }

  /** Takes the error of work that is repeated; undefined: it has none. That it fails, or succeeds again, is told once. */
  report(work: RepeatedWork, error: unknown): void {
    const problem = error === undefined ? undefined : error instanceof Error ? error.message : String(error)
    const hasFailed = this.#workProblems.has(work)
    if (problem === undefined) this.#workProblems.delete(work)
    else this.#workProblems.set(work, problem)
    if (hasFailed === (problem !== undefined)) return
    publish('copies.failing', { bucket: this.#options.copy.name, work, problem })
  }

  /** Removes the tag of an image from the bucket. */
  async drop({ repository, tag = '' }: Reference, image: string): Promise<void> {
    const { copy } = this.#options
    await copy.untag(repository, tag)
    this.#counts.dropped += 1
    publish('copy.dropped', { bucket: copy.name, image })
  }

  /** Resolves when no image waits. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  stop(): Promise<void> {
    return this.#queue.stop()
  }

  async #run({ reference, cause }: CopyJob, { signal }: { signal: AbortSignal }): Promise<void> {
    const { copy, reader, selection } = this.#options
    const image = referenceText(reference)
    const startedAt = performance.now()
    const ended = { bucket: copy.name, image, cause, bytes: 0, sentBytes: 0 }
    try {
      const images = [{ reference, selection, referrers: true }]
      const request = { reader, target: new BucketTarget(copy), images, signal, verb: 'copied' } as const
      for await (const line of exportImages(request)) {
        if (line.is === 'progress') this.#current = { image, bytes: line.bytes, ofBytes: line.ofBytes }
        if (line.is !== 'image') continue
        ended.bytes = line.bytes
        ended.sentBytes = line.writtenBytes
      }
      // What the schedule has brought is due again only at its next time, and what was pulled stays while it is pulled.
      if (cause !== 'notification')
        await copy.records.write(cause === 'pulls' ? 'pulled' : 'scheduled', keyOf(reference), {
          signal,
          // What the tag came to refer to while it was copied is due at the next time of the schedule.
          tookMs: performance.now() - startedAt,
        })
      this.#problem = undefined
      this.#counts.copied += 1
      this.#counts.sentBytes += ended.sentBytes
      this.#counts.savedBytes += ended.bytes - ended.sentBytes
      publish('copy.ended', { ...ended, ms: performance.now() - startedAt, error: undefined })
    } catch (error) {
      signal.throwIfAborted()
      const failure = failureOf(error)
      this.#problem = failure.message
      this.#counts.failed += 1
      publish('copy.ended', { ...ended, ms: performance.now() - startedAt, error: failure.message })
      throw failure
    } finally {
      this.#current = undefined
    }
  }
}

/** Names an image in the queue and in the records: the digest to which a tag refers now is no part of it. */
export function keyOf(reference: Reference): string {
  return referenceText(reference.tag === undefined ? reference : { ...reference, digest: undefined })
}

/** The failure behind an error, by whose code the queue knows whether another attempt can help. */
function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const cause = error instanceof Error ? error.cause : undefined
  const message =
    error instanceof Error && error.name === 'ExportError'
      ? error.message
      : 'an unexpected error has ended a copy; see the log of the agent'
  if (!(cause instanceof Failure)) return new Failure('unsupported', message, { cause: error })
  const { retryAfterMs } = cause.details
  return new Failure(cause.code, message, {
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
