import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobEntry } from './index/blob-entry.ts'
import type { LastUse } from './index/last-use.ts'
import type { EvictionReason, Freed } from './space/budget-types.ts'
import type { StoreParts } from './writing/store-parts.ts'

/** Drops blobs and partials, and keeps a digest from being dropped while a content is published under it. */
export class BlobRemoval {
  readonly #parts: Pick<StoreParts, 'index' | 'blobFiles' | 'partials'>
  readonly #lastUse: LastUse
  readonly #listeners = new Set<(digest: Digest) => void>()
  /** Digests that are being dropped: they may be received again only after that. */
  readonly #dropping = new Map<Digest, Promise<unknown>>()
  /** Digests under which received contents are just being published, and how many for each. */
  readonly #claims = new Map<Digest, number>()

  constructor(parts: Pick<StoreParts, 'index' | 'blobFiles' | 'partials'>, lastUse: LastUse) {
    this.#parts = parts
    this.#lastUse = lastUse
  }

  /** Calls `listener` with each stored blob that is dropped. Returns the function that ends this. */
  onDropped(listener: (digest: Digest) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The digest is being dropped, or is claimed. */
  isBusy(digest: Digest): boolean {
    return this.#dropping.has(digest) || this.#claims.has(digest)
  }

  /** Resolves when the digest is not being dropped. */
  async settled(digest: Digest): Promise<void> {
    while (this.#dropping.has(digest)) await this.#dropping.get(digest)?.catch(() => {})
  }

  /** Keeps a digest from being dropped until the claim is ended. */
  async claim(digest: Digest): Promise<() => void> {
    await this.settled(digest)
    this.#claims.set(digest, (this.#claims.get(digest) ?? 0) + 1)
    return () => {
      const others = (this.#claims.get(digest) ?? 1) - 1
      if (others > 0) this.#claims.set(digest, others)
      else this.#claims.delete(digest)
    }
  }

  /**
   * Drops blobs that are not busy, except those that have links. A link can be made only under a claim, which waits until the
   * digest is not being dropped: so a link is either found here, or made after the blob is gone. Files are removed before
   * entries. A crash between the two leaves an entry without a file,
   * which the next start drops by comparing names. In the opposite order a crash would leave an unknown file, which the next
   * start would hash and adopt.
   */
  async drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    const digests = entries.map(({ digest }) => digest).filter((digest) => !this.isBusy(digest))
    if (digests.length === 0) return { blobs: 0, bytes: 0 }
    return this.#whileDropping(digests, () => this.#dropUnlinked(digests, reason))
  }

  /** Drops a blob even while it is open: its readers keep the file. False: it was not stored, or must stay. */
  async dropOne(digest: Digest): Promise<boolean> {
    const entry = await this.#parts.index.get(digest)
    if (entry === undefined || this.isBusy(digest)) return false
    return (await this.drop([entry], 'removed')).blobs > 0
  }

  /** Removes a partial that is not busy. */
  async dropPartial(digest: Digest): Promise<void> {
    await this.#whileDropping([digest], () => this.#parts.partials.remove(digest))
  }

  /**
   * Drops a blob whose file is not what was stored. It is fetched again at the next request, or counts as absent until
   * somebody pushes it again.
   */
  async dropCorrupt(digest: Digest, found: string): Promise<void> {
    this.#lastUse.forget(digest)
    const repositories = await this.#parts.index.links.repositoriesOf(digest).catch(() => [])
    if (repositories.length > 0) publish('hosted.lost', { digest, repositories })
    await this.settled(digest)
    // On a full disk the entry is only hidden, which is enough until the next start.
    await this.#whileDropping([digest], () => this.#parts.index.remove(digest).catch(() => {}))
    this.#notify(digest)
    publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
  }

  /** Reads the entries again: another removal may have dropped the blobs after the caller has chosen them. */
  async #dropUnlinked(digests: readonly Digest[], reason: EvictionReason): Promise<Freed> {
    const { index } = this.#parts
    const linked = await index.links.filterLinked(digests)
    const entries = await index.getMany(digests)
    const unlinked = entries.flatMap((entry) =>
      entry === undefined || linked.has(entry.digest) ? [] : [entry],
    )
    for (const { digest } of unlinked) this.#parts.index.hide(digest)
    return this.#remove(unlinked, reason)
  }

  async #remove(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    const removed: BlobEntry[] = []
    try {
      for (const entry of entries) {
        await this.#parts.blobFiles.remove(entry.digest)
        this.#lastUse.forget(entry.digest)
        removed.push(entry)
      }
    } finally {
      for (const { digest } of entries.slice(removed.length)) this.#parts.index.show(digest)
      // On a full disk the index may take no writes, and files must be removed all the same.
      await this.#parts.index.removeHidden(removed).catch(() => {})
      for (const { digest, size } of removed) {
        this.#notify(digest)
        publish('store.evicted', { digest, size, reason })
      }
    }
    return { blobs: removed.length, bytes: removed.reduce((sum, { size }) => sum + size, 0) }
  }

  async #whileDropping<Result>(digests: readonly Digest[], drop: () => Promise<Result>): Promise<Result> {
    const work = drop()
    for (const digest of digests) this.#dropping.set(digest, work)
    try {
      return await work
    } finally {
      for (const digest of digests) this.#dropping.delete(digest)
    }
  }

  #notify(digest: Digest): void {
    for (const listener of this.#listeners) listener(digest)
  }
}
