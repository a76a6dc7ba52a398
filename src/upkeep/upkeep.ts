import { withTicks } from '../lib/async/with-ticks.ts'
import { SharedParts, tagText } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import { repositoryKey } from '../oci/names/repository.ts'
import type { GcLine, PinsReport, RemovalLine, Rotten, VerifyLine } from '../schemas/upkeep-report.ts'
import type { Kept } from './kept.ts'
import { findNamed, type Named, notHere, type Tag } from './naming.ts'
import { Refusal } from './refusal.ts'
import { planRemoval } from './removal.ts'

interface Amount {
  blobs: number
  bytes: number
}

const TICK_MS = 500
/** Of the images and repositories that a rotten blob was part of. */
const MOST_OWNERS = 10

/**
 * What people may do to what a node keeps. Throws a `Refusal` before anything is changed; what is told in lines ends with
 * `done`, or throws. Of what takes long, one at a time.
 */
export class Upkeep {
  readonly #kept: Kept
  readonly #defaultNamespace: string
  #underWay: { readonly what: string } | undefined

  constructor(kept: Kept, defaultNamespace: string) {
    this.#kept = kept
    this.#defaultNamespace = defaultNamespace
  }

  async *gc(options: { toBytes: number | undefined; signal: AbortSignal }): AsyncGenerator<GcLine> {
    const { toBytes, signal } = options
    const end = this.#begin('an eviction')
    const kept = this.#kept
    const before = kept.usage()
    const soFar = (): GcLine => {
      const now = kept.usage()
      // Others may store something meanwhile.
      const [blobs, bytes] = [before.blobs - now.blobs, before.bytes - now.bytes]
      return { is: 'progress', blobs: Math.max(0, blobs), bytes: Math.max(0, bytes) }
    }
    try {
      yield soFar()
      const going = kept.gc({ signal, ...(toBytes === undefined ? {} : { toBytes }) })
      for await (const item of withTicks(one(going), TICK_MS, soFar)) {
        if ('is' in item) yield item
        else {
          const { blobs: leftBlobs, bytes: leftBytes } = kept.usage()
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
    const { blobs: ofBlobs, bytes: ofBytes } = this.#kept.usage()
    let [blobs, bytes, found] = [0, 0, 0]
    let toldAt = performance.now()
    const progress = (): VerifyLine => {
      toldAt = performance.now()
      return { is: 'progress', blobs, bytes, ofBlobs, ofBytes, found }
    }
    const onProgress = (more: number): void => {
      bytes += more
    }
    let sharing: SharedParts | undefined
    try {
      yield progress()
      const looking = this.#kept.verify({ ...options, onProgress })
      for await (const item of withTicks(looking, TICK_MS, progress)) {
        if ('is' in item) {
          yield item
          continue
        }
        blobs += 1
        if (!item.ok) {
          found += 1
          sharing ??= await SharedParts.of(this.#kept)
          yield await this.#rotten(item.digest, item.size, item.found ?? '', sharing)
        }
        if (performance.now() - toldAt >= TICK_MS) yield progress()
      }
      end()
      yield { is: 'done', blobs, bytes, found }
    } finally {
      end()
    }
  }

  async pin(subjects: readonly string[]): Promise<PinsReport> {
    const all = await this.#findAll(subjects)
    for (const { subject, isHere } of all) if (!isHere) throw notHere(subject)
    return this.#setPins(all, true)
  }

  async unpin(subjects: readonly string[]): Promise<PinsReport> {
    const all = await this.#findAll(subjects)
    for (const { subject, digest, isHere } of all) {
      // What is pinned need not be here.
      if (!isHere && !(await this.#kept.isPinned(digest))) throw notHere(subject)
    }
    return this.#setPins(all, false)
  }

  /** Forgets these, and drops what only they needed. With `force` also what is pinned, which then no longer is. */
  async *remove(options: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncGenerator<RemovalLine> {
    const { subjects, force, signal } = options
    const end = this.#begin('a removal')
    const kept = this.#kept
    const gone: Amount = { blobs: 0, bytes: 0 }
    const progress = (): RemovalLine => ({ is: 'progress', ...gone })
    try {
      const all = await this.#findAll(subjects)
      // A tag is there to be forgotten also when its manifest has gone.
      for (const { subject, tag, isHere } of all) if (tag === undefined && !isHere) throw notHere(subject)
      const unpinned = await this.#pinsInTheWay(all, force)
      const tags = await this.#tagsOf(all)
      yield progress()
      const planning = planRemoval(kept, {
        images: all.filter(({ tag }) => tag !== undefined).map(({ digest }) => digest),
        named: all.filter(({ tag }) => tag === undefined).map(({ digest }) => digest),
        tags: new Set([...tags.values()].flat().map(tagText)),
        unpinned,
      })
      let staying: Amount | undefined
      for await (const step of withTicks(
        this.#carryOut(planning, unpinned, tags, gone, signal),
        TICK_MS,
        progress,
      )) {
        if ('is' in step) yield step
        else staying = step
      }
      const removed = all.map(({ subject, digest }) => ({
        subject,
        digest,
        tags: (tags.get(subject) ?? []).map(tagText),
      }))
      const { blobs: keptBlobs = 0, bytes: keptBytes = 0 } = staying ?? {}
      end()
      yield { is: 'done', removed, ...gone, keptBlobs, keptBytes }
    } finally {
      end()
    }
  }

  /** Adds to `gone` what goes, and gives at the end how much stays. */
  async *#carryOut(
    planning: ReturnType<typeof planRemoval>,
    unpinned: ReadonlySet<Digest>,
    tags: ReadonlyMap<string, readonly Tag[]>,
    gone: Amount,
    signal: AbortSignal,
  ): AsyncGenerator<Amount> {
    const kept = this.#kept
    const plan = await planning
    signal.throwIfAborted()
    for (const digest of unpinned) await kept.unpin(digest)
    for (const { repository, tag } of [...tags.values()].flat()) await kept.catalog.forgetTag(repository, tag)
    for (const digest of plan.gone) {
      signal.throwIfAborted()
      const facts = await kept.blobs.facts(digest)
      if (facts === undefined || !(await kept.remove(digest))) continue
      gone.blobs += 1
      gone.bytes += facts.size
    }
    const staying: Amount = { blobs: 0, bytes: 0 }
    for (const digest of plan.staying) {
      const facts = await kept.blobs.facts(digest)
      if (facts === undefined) continue
      staying.blobs += 1
      staying.bytes += facts.size
    }
    yield staying
  }

  async #findAll(subjects: readonly string[]): Promise<readonly Named[]> {
    const all: Named[] = []
    for (const subject of new Set(subjects)) {
      all.push(await findNamed(this.#kept, subject, this.#defaultNamespace))
    }
    return all
  }

  async #setPins(all: readonly Named[], isPinned: boolean): Promise<PinsReport> {
    const kept = this.#kept
    const pins: PinsReport['pins'] = []
    for (const { subject, digest } of all) {
      const changed = (await kept.isPinned(digest)) !== isPinned
      if (changed) await (isPinned ? kept.pin(digest) : kept.unpin(digest))
      pins.push({ subject, digest, changed })
    }
    return { pins }
  }

  /** Those that are to be taken off first; refuses what is pinned when they are not to be. */
  async #pinsInTheWay(all: readonly Named[], force: boolean): Promise<ReadonlySet<Digest>> {
    const digests = new Set(all.map(({ digest }) => digest))
    const inTheWay = new Set<Digest>()
    for (const { subject, digest } of all) {
      const pins = await this.#kept.pinsOf(digest)
      const other = pins.find((pin) => !digests.has(pin))
      if (other !== undefined) {
        throw new Refusal('conflict', `${subject} is needed by ${other}, which is pinned; unpin that first`)
      }
      if (pins.length > 0 && !force) {
        throw new Refusal('conflict', `${subject} is pinned; unpin it first, or give --force`)
      }
      for (const pin of pins) inTheWay.add(pin)
    }
    return inTheWay
  }

  /** For each subject the tags that go with it: the one that it was named by, or those that mean its digest. */
  async #tagsOf(all: readonly Named[]): Promise<Map<string, Tag[]>> {
    const tags = new Map<string, Tag[]>()
    const byDigest = new Map<Digest, string>()
    for (const { subject, digest, tag } of all) {
      if (tag === undefined) byDigest.set(digest, subject)
      tags.set(subject, tag === undefined ? [] : [tag])
    }
    if (byDigest.size === 0) return tags
    for await (const { repository, tag, digest } of this.#kept.tags()) {
      tags.get(byDigest.get(digest) ?? '')?.push({ repository, tag })
    }
    return tags
  }

  async #rotten(digest: Digest, size: number, found: string, sharing: SharedParts): Promise<Rotten> {
    const images = sharing.tagsWith(digest)
    const owners = images.length > 0 ? images : (await this.#kept.repositoriesOf(digest)).map(repositoryKey)
    return { is: 'rotten', digest, size, found, partOf: owners.slice(0, MOST_OWNERS) }
  }

  /** Gives back what says that it is over: before the last line, so that whoever has read that may ask for the next. */
  #begin(what: string): () => void {
    if (this.#underWay !== undefined) {
      throw new Refusal(
        'conflict',
        `${this.#underWay.what} is under way already; try again when it has ended`,
      )
    }
    const own = { what }
    this.#underWay = own
    return () => {
      if (this.#underWay === own) this.#underWay = undefined
    }
  }
}

async function* one<Value>(promise: Promise<Value>): AsyncGenerator<Value> {
  yield await promise
}
