import { withTicks } from '../lib/async/with-ticks.ts'
import { SharedParts, tagText } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import { repositoryKey } from '../oci/names/repository.ts'
import type { GcLine, PinsReport, RemovalLine, Rotten, VerifyLine } from '../schemas/upkeep-report.ts'
import { planRemoval } from './removal.ts'
import { RequestError } from './request-error.ts'
import { findUpkeepSubject, notStoredError, type Tag, type UpkeepSubject } from './subject.ts'
import type { UpkeepStore } from './upkeep-store.ts'

interface Totals {
  blobs: number
  bytes: number
}

/** A line of progress is due this often, so that clients see that the task goes on. */
const PROGRESS_INTERVAL_MS = 500
/** A finding lists at most this many images or repositories that a rotten blob was part of. */
const MAX_PART_OF = 10

/**
 * What an operator may do to the stored content: evict, verify, pin, remove. A method throws a `RequestError` before it
 * changes anything. A method that gives lines ends with a `done` line, or throws. Only one of those runs at a time.
 */
export class Upkeep {
  readonly #store: UpkeepStore
  readonly #defaultNamespace: string
  #runningTask: { readonly what: string } | undefined

  constructor(store: UpkeepStore, defaultNamespace: string) {
    this.#store = store
    this.#defaultNamespace = defaultNamespace
  }

  async *gc(options: { toBytes: number | undefined; signal: AbortSignal }): AsyncGenerator<GcLine> {
    const { toBytes, signal } = options
    const end = this.#begin('an eviction')
    const store = this.#store
    const before = store.usage()
    const soFar = (): GcLine => {
      const now = store.usage()
      // A pull may have stored more than was evicted meanwhile.
      const [blobs, bytes] = [before.blobs - now.blobs, before.bytes - now.bytes]
      return { is: 'progress', blobs: Math.max(0, blobs), bytes: Math.max(0, bytes) }
    }
    try {
      yield soFar()
      const evicting = store.gc({ signal, ...(toBytes === undefined ? {} : { toBytes }) })
      for await (const item of withTicks(asyncIterableOf(evicting), PROGRESS_INTERVAL_MS, soFar)) {
        if ('is' in item) yield item
        else {
          const { blobs: leftBlobs, bytes: leftBytes } = store.usage()
          end()
          yield { is: 'done', ...item, leftBlobs, leftBytes }
        }
      }
    } finally {
      end()
    }
  }

  async *verify(options: {
    bytesPerSecond: number | undefined
    signal: AbortSignal
  }): AsyncGenerator<VerifyLine> {
    const end = this.#begin('a verification')
    const { blobs: ofBlobs, bytes: ofBytes } = this.#store.usage()
    let [blobs, bytes, found] = [0, 0, 0]
    let reportedAt = performance.now()
    const progress = (): VerifyLine => {
      reportedAt = performance.now()
      return { is: 'progress', blobs, bytes, ofBlobs, ofBytes, found }
    }
    const onProgress = (more: number): void => {
      bytes += more
    }
    let sharing: SharedParts | undefined
    try {
      yield progress()
      const verifying = this.#store.verify({ ...options, onProgress })
      for await (const item of withTicks(verifying, PROGRESS_INTERVAL_MS, progress)) {
        if ('is' in item) {
          yield item
          continue
        }
        blobs += 1
        if (!item.ok) {
          found += 1
          sharing ??= await SharedParts.of(this.#store)
          yield await this.#rotten(item.digest, item.size, item.found ?? '', sharing)
        }
        if (performance.now() - reportedAt >= PROGRESS_INTERVAL_MS) yield progress()
      }
      end()
      yield { is: 'done', blobs, bytes, found }
    } finally {
      end()
    }
  }

  async pin(subjects: readonly string[]): Promise<PinsReport> {
    const all = await this.#findAll(subjects)
    for (const { subject, isStored } of all) if (!isStored) throw notStoredError(subject)
    return this.#setPins(all, true)
  }

  async unpin(subjects: readonly string[]): Promise<PinsReport> {
    const all = await this.#findAll(subjects)
    for (const { subject, digest, isStored } of all) {
      // A digest may be pinned before it is stored.
      if (!isStored && !(await this.#store.isPinned(digest))) throw notStoredError(subject)
    }
    return this.#setPins(all, false)
  }

  /** Removes the subjects and what only they need. With `force` it also removes what is pinned, and the pins. */
  async *remove(options: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncGenerator<RemovalLine> {
    const { subjects, force, signal } = options
    const end = this.#begin('a removal')
    const store = this.#store
    const removed: Totals = { blobs: 0, bytes: 0 }
    const progress = (): RemovalLine => ({ is: 'progress', ...removed })
    try {
      const all = await this.#findAll(subjects)
      // A tag can be forgotten even if its manifest is no longer stored.
      for (const { subject, tag, isStored } of all)
        if (tag === undefined && !isStored) throw notStoredError(subject)
      const unpinned = await this.#pinsToRelease(all, force)
      const tags = await this.#tagsOf(all)
      yield progress()
      const planning = planRemoval(store, {
        images: all.filter(({ tag }) => tag !== undefined).map(({ digest }) => digest),
        named: all.filter(({ tag }) => tag === undefined).map(({ digest }) => digest),
        tags: new Set([...tags.values()].flat().map(tagText)),
        unpinned,
      })
      let retained: Totals | undefined
      for await (const step of withTicks(
        this.#execute(planning, unpinned, tags, removed, signal),
        PROGRESS_INTERVAL_MS,
        progress,
      )) {
        if ('is' in step) yield step
        else retained = step
      }
      const subjectsRemoved = all.map(({ subject, digest }) => ({
        subject,
        digest,
        tags: (tags.get(subject) ?? []).map(tagText),
      }))
      const { blobs: keptBlobs = 0, bytes: keptBytes = 0 } = retained ?? {}
      end()
      yield { is: 'done', removed: subjectsRemoved, ...removed, keptBlobs, keptBytes }
    } finally {
      end()
    }
  }

  /** Adds what it removes to `removed`. Gives at the end how much the plan retains. */
  async *#execute(
    planning: ReturnType<typeof planRemoval>,
    unpinned: ReadonlySet<Digest>,
    tags: ReadonlyMap<string, readonly Tag[]>,
    removed: Totals,
    signal: AbortSignal,
  ): AsyncGenerator<Totals> {
    const store = this.#store
    const plan = await planning
    signal.throwIfAborted()
    for (const digest of unpinned) await store.unpin(digest)
    for (const { repository, tag } of [...tags.values()].flat())
      await store.catalog.forgetTag(repository, tag)
    for (const digest of plan.removed) {
      signal.throwIfAborted()
      const facts = await store.blobs.facts(digest)
      if (facts === undefined || !(await store.remove(digest))) continue
      removed.blobs += 1
      removed.bytes += facts.size
    }
    const retained: Totals = { blobs: 0, bytes: 0 }
    for (const digest of plan.retained) {
      const facts = await store.blobs.facts(digest)
      if (facts === undefined) continue
      retained.blobs += 1
      retained.bytes += facts.size
    }
    yield retained
  }

  async #findAll(subjects: readonly string[]): Promise<readonly UpkeepSubject[]> {
    const all: UpkeepSubject[] = []
    for (const subject of new Set(subjects)) {
      all.push(await findUpkeepSubject(this.#store, subject, this.#defaultNamespace))
    }
    return all
  }

  async #setPins(all: readonly UpkeepSubject[], isPinned: boolean): Promise<PinsReport> {
    const store = this.#store
    const pins: PinsReport['pins'] = []
    for (const { subject, digest } of all) {
      const changed = (await store.isPinned(digest)) !== isPinned
      if (changed) await (isPinned ? store.pin(digest) : store.unpin(digest))
      pins.push({ subject, digest, changed })
    }
    return { pins }
  }

  /** Gives the pins to take off before the removal. Without `force` a pinned subject is refused. */
  async #pinsToRelease(all: readonly UpkeepSubject[], force: boolean): Promise<ReadonlySet<Digest>> {
    const digests = new Set(all.map(({ digest }) => digest))
    const inTheWay = new Set<Digest>()
    for (const { subject, digest } of all) {
      const pins = await this.#store.pinsOf(digest)
      const other = pins.find((pin) => !digests.has(pin))
      if (other !== undefined) {
        throw new RequestError(
          'conflict',
          `${subject} is needed by ${other}, which is pinned; unpin that first`,
        )
      }
      if (pins.length > 0 && !force) {
        throw new RequestError('conflict', `${subject} is pinned; unpin it first, or give --force`)
      }
      for (const pin of pins) inTheWay.add(pin)
    }
    return inTheWay
  }

  /** Gives the tags to forget with each subject: the tag that names it, or every tag of its digest. */
  async #tagsOf(all: readonly UpkeepSubject[]): Promise<Map<string, Tag[]>> {
    const tags = new Map<string, Tag[]>()
    const byDigest = new Map<Digest, string>()
    for (const { subject, digest, tag } of all) {
      if (tag === undefined) byDigest.set(digest, subject)
      tags.set(subject, tag === undefined ? [] : [tag])
    }
    if (byDigest.size === 0) return tags
    for await (const { repository, tag, digest } of this.#store.tags()) {
      tags.get(byDigest.get(digest) ?? '')?.push({ repository, tag })
    }
    return tags
  }

  async #rotten(digest: Digest, size: number, found: string, sharing: SharedParts): Promise<Rotten> {
    const images = sharing.tagsWith(digest)
    const owners = images.length > 0 ? images : (await this.#store.repositoriesOf(digest)).map(repositoryKey)
    return { is: 'rotten', digest, size, found, partOf: owners.slice(0, MAX_PART_OF) }
  }

  /** Gives the function that ends the task. It is called before the last line, so that a client that has read that line can begin the next task. */
  #begin(what: string): () => void {
    if (this.#runningTask !== undefined) {
      throw new RequestError(
        'conflict',
        `${this.#runningTask.what} is already running; try again when it has ended`,
      )
    }
    const own = { what }
    this.#runningTask = own
    return () => {
      if (this.#runningTask === own) this.#runningTask = undefined
    }
  }
}

async function* asyncIterableOf<Value>(promise: Promise<Value>): AsyncGenerator<Value> {
  yield await promise
}
