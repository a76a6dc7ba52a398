import * as v from 'valibot'
import { parseJson } from '../../../lib/json.ts'
import type { Digest } from '../../../oci/digest.ts'
import { type Repository, repositoryFromKey } from '../../../oci/names/repository.ts'
import type { HostedLink, LinkToMake } from '../../../ports/hosted/hosted-catalog.ts'
import { type Database, keysUnder } from '../../database/database.ts'
import { decodeTag, encodeTag, type TagValue } from './hosted-tag.ts'
import { KeyMemory } from './key-memory.ts'
import { digestIn, hostedTagKey, lastPart, linkedKey, linkKey, pulledKey } from './keys.ts'

const StoredLink = v.object({
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.optional(v.string()),
  linkedAt: v.number(),
})
const PAGE_SIZE = 1000

interface BatchChanges {
  put(key: string, value: string): unknown
}

/** The entries to whose contents links are made. */
interface LinkedEntries {
  /** Runs a change of a digest after all earlier ones of it. */
  inTurn(digest: Digest, change: () => Promise<void>): Promise<void>
  /** Undefined: the content is not stored. */
  sizeOf(digest: Digest): Promise<number | undefined>
  /** A content has its first link, or has lost its last one. */
  changed(digest: Digest): Promise<void>
}

/**
 * Which contents belong to hosted repositories. The index has each link twice: by its repository, with what is known of it, and
 * by its digest, which tells whether a blob may be evicted. How much all linked blobs have is a running sum, which changes in
 * the turn of the digest.
 */
export class Links {
  readonly #database: Database
  readonly #entries: LinkedEntries
  readonly #links = new KeyMemory<HostedLink>()
  readonly #tags = new KeyMemory<TagValue>()
  /** How many digests have links. Without any, nothing else needs to be looked up. */
  #count = 0
  #bytes = 0

  constructor(database: Database, entries: LinkedEntries) {
    this.#database = database
    this.#entries = entries
  }

  /** The size of all stored blobs that have links. */
  get bytes(): number {
    return this.#bytes
  }

  /** `blobs` counts linked blobs that are lost, too. */
  get usage(): { readonly bytes: number; readonly blobs: number } {
    return { bytes: this.#bytes, blobs: this.#count }
  }

  /** Counts the links once, at the start. `lost` is called with linked digests that are not stored. */
  async load(
    sizesOf: (digests: readonly Digest[]) => Promise<readonly (number | undefined)[]>,
    lost: (digest: Digest) => void,
  ): Promise<void> {
    this.#count = 0
    this.#bytes = 0
    let last = ''
    const keys = this.#database.keys(keysUnder('linked'))
    try {
      for (let page = await keys.nextv(PAGE_SIZE); page.length > 0; page = await keys.nextv(PAGE_SIZE)) {
        const digests: Digest[] = []
        for (const key of page) {
          const digest = digestIn(key.slice(0, key.lastIndexOf('!')))
          if (digest === undefined || digest === last) continue
          digests.push(digest)
          last = digest
        }
        const sizes = await sizesOf(digests)
        for (const [at, digest] of digests.entries()) {
          const size = sizes[at]
          this.#count += 1
          if (size === undefined) lost(digest)
          else this.#bytes += size
        }
      }
    } finally {
      await keys.close()
    }
  }

  async isLinked(digest: Digest): Promise<boolean> {
    if (this.#count === 0) return false
    const keys = await this.#database.keys({ ...keysUnder('linked', digest), limit: 1 }).all()
    return keys.length > 0
  }

  /** Gives those of `digests` that have a link in any repository. */
  async filterLinked(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const linked = new Set<Digest>()
    if (this.#count === 0) return linked
    for (const digest of digests) if (await this.isLinked(digest)) linked.add(digest)
    return linked
  }

  /** Lists the repositories that have links to a digest, in ASCII order. */
  async repositoriesOf(digest: Digest): Promise<readonly Repository[]> {
    if (this.#count === 0) return []
    const keys = await this.#database.keys(keysUnder('linked', digest)).all()
    return keys.flatMap((key) => repositoryFromKey(lastPart(key)) ?? [])
  }

  /** Links a stored content. Durable when the call resolves; false if the content is not stored. */
  async make(digest: Digest, link: LinkToMake): Promise<boolean> {
    let isMade = false
    await this.#entries.inTurn(digest, async () => {
      const size = await this.#entries.sizeOf(digest)
      if (size === undefined) return
      const wasLinked = await this.isLinked(digest)
      const batch = this.#database.batch()
      await this.add(batch, digest, link, () => batch.write({ sync: true }))
      isMade = true
      if (wasLinked) return
      this.#count += 1
      this.#bytes += size
      await this.#entries.changed(digest)
    })
    return isMade
  }

  /**
   * Adds a link and its tags to a batch and writes it, in the turn of the digest. What was pushed as a manifest stays one.
   */
  async add(
    changes: BatchChanges,
    digest: Digest,
    link: LinkToMake,
    write: () => Promise<void>,
  ): Promise<void> {
    const { repository, tags } = link
    const now = Date.now()
    const before = await this.get(repository, digest)
    const { kind, mediaType } = before?.kind === 'manifest' && link.kind === 'blob' ? before : link
    changes.put(linkKey(repository, digest), encodeLink({ kind, mediaType, linkedAt: now }))
    changes.put(linkedKey(digest, repository), '')
    const tagKeys = tags.map((tag) => hostedTagKey(repository, tag))
    for (const key of tagKeys) changes.put(key, encodeTag({ digest, mediaType, pushedAt: now }))
    await this.#change([linkKey(repository, digest), ...tagKeys], write)
  }

  /** Counts a blob whose entry was just written; to be called in the turn of the digest. */
  entryWritten(
    { wasLinked, isLinked }: { wasLinked: boolean; isLinked: boolean },
    { sizeBefore, size }: { sizeBefore: number; size: number },
  ): void {
    if (!isLinked) return
    if (!wasLinked) this.#count += 1
    this.#bytes += size - (wasLinked ? sizeBefore : 0)
  }

  /** The entry of a linked blob was removed; its links stay. */
  entryRemoved(size: number): void {
    this.#bytes -= size
  }

  /** Makes a link young, without a sync. False: there is no such link. */
  async renew(repository: Repository, digest: Digest): Promise<boolean> {
    let isRenewed = false
    await this.#entries.inTurn(digest, async () => {
      const link = await this.get(repository, digest)
      if (link === undefined) return
      const key = linkKey(repository, digest)
      const renewed = encodeLink({ ...link, linkedAt: Date.now() })
      await this.#change([key], () => this.#database.put(key, renewed))
      isRenewed = true
    })
    return isRenewed
  }

  /**
   * Removes a link, and `tags` with it. Durable when the call resolves; false: there is no such link, or it was made or
   * renewed after `before`.
   */
  async remove(
    repository: Repository,
    digest: Digest,
    tags: readonly string[],
    before = Number.POSITIVE_INFINITY,
  ): Promise<boolean> {
    let isRemoved = false
    await this.#entries.inTurn(digest, async () => {
      const link = await this.get(repository, digest)
      if (link === undefined || link.linkedAt > before) return
      const batch = this.#database.batch()
      batch.del(linkKey(repository, digest)).del(linkedKey(digest, repository))
      for (const tag of tags) batch.del(hostedTagKey(repository, tag)).del(pulledKey(repository, tag))
      const tagKeys = tags.map((tag) => hostedTagKey(repository, tag))
      await this.#change([linkKey(repository, digest), ...tagKeys], () => batch.write({ sync: true }))
      isRemoved = true
      if (await this.isLinked(digest)) return
      this.#count -= 1
      this.#bytes -= (await this.#entries.sizeOf(digest)) ?? 0
      await this.#entries.changed(digest)
    })
    return isRemoved
  }

  /** Removes a tag. Durable when the call resolves. */
  async removeTag(repository: Repository, tag: string): Promise<void> {
    const key = hostedTagKey(repository, tag)
    const batch = this.#database.batch().del(key).del(pulledKey(repository, tag))
    await this.#change([key], () => batch.write({ sync: true }))
  }

  get(repository: Repository, digest: Digest): Promise<HostedLink | undefined> {
    const key = linkKey(repository, digest)
    return this.#links.read(key, async () => {
      const text: string | undefined = await this.#database.get(key)
      return text === undefined ? undefined : decodeLink(digest, text)
    })
  }

  tag(repository: Repository, tag: string): Promise<TagValue | undefined> {
    const key = hostedTagKey(repository, tag)
    return this.#tags.read(key, async () => {
      const text: string | undefined = await this.#database.get(key)
      return text === undefined ? undefined : decodeTag(text)
    })
  }

  #change(keys: readonly string[], write: () => Promise<void>): Promise<void> {
    return this.#links.change(keys, () => this.#tags.change(keys, write))
  }
}

/** Gives the link; undefined for a text that is not one. */
export function decodeLink(digest: Digest, text: string): HostedLink | undefined {
  const parsed = v.safeParse(StoredLink, parseJson(text))
  if (!parsed.success) return undefined
  const { kind, mediaType, linkedAt } = parsed.output
  return { digest, kind, mediaType, linkedAt }
}

function encodeLink({ kind, mediaType, linkedAt }: Omit<HostedLink, 'digest'>): string {
  return JSON.stringify({ kind, mediaType, linkedAt })
}
