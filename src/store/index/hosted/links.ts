import type { Digest } from '../../../oci/digest.ts'
import { type Repository, repositoryFromKey } from '../../../oci/names/repository.ts'
import type { HostedLink, LinkToMake } from '../../../ports/hosted/hosted-catalog.ts'
import { type Database, keysUnder } from '../../database/database.ts'
import type { JournalRecord } from '../../journal/record.ts'
import { encodeLink } from './hosted-link.ts'
import { encodeTag, type TagValue } from './hosted-tag.ts'
import { digestIn, hostedTagKey, lastPart, linkedKey, linkKey, pulledKey } from './keys.ts'
import { NameMemory } from './name-memory.ts'

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
  /** Gives an inline content; undefined for any other one. */
  inlineBytes(digest: Digest): Promise<Uint8Array | undefined>
  /** A content has its first link, or has lost its last one. */
  changed(digest: Digest): Promise<void>
}

/** Takes note of each change, after it was written. */
export interface ChangeJournal {
  append(records: readonly JournalRecord[]): void
}

const NO_JOURNAL: ChangeJournal = { append: () => {} }

/**
 * Which contents belong to hosted repositories. The index has each link twice: by its repository, with what is known of it, and
 * by its digest, which tells whether a blob may be evicted. How much all linked blobs have is a running sum, which changes in
 * the turn of the digest.
 */
export class Links {
  readonly #database: Database
  readonly #entries: LinkedEntries
  readonly #journal: ChangeJournal
  readonly #names: NameMemory
  /** How many digests have links. Without any, nothing else needs to be looked up. */
  #count = 0
  #bytes = 0
  /** Since the start there was a linked content that is not stored. */
  #hasLost = false

  constructor(database: Database, entries: LinkedEntries, journal: ChangeJournal = NO_JOURNAL) {
    this.#database = database
    this.#entries = entries
    this.#journal = journal
    this.#names = new NameMemory(database)
  }

  /** The links and tags, for those who read them. */
  get names(): Pick<NameMemory, 'link' | 'tag' | 'linkedIn'> {
    return this.#names
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
          if (size === undefined) {
            this.#hasLost = true
            lost(digest)
          } else this.#bytes += size
        }
      }
    } finally {
      await keys.close()
    }
  }

  /** `isStored`: whether it has an entry. Of those that have none, only lost ones are linked. */
  async isLinked(digest: Digest, { isStored = true } = {}): Promise<boolean> {
    if (this.#count === 0 || (!isStored && !this.#hasLost)) return false
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
      const before = await this.get(link.repository, digest)
      const bytes = await this.#entries.inlineBytes(digest)
      await this.add(batch, digest, { link, before, bytes }, () => batch.write({ sync: true }))
      isMade = true
      if (wasLinked) return
      this.#count += 1
      this.#bytes += size
      await this.#entries.changed(digest)
    })
    return isMade
  }

  /**
   * Adds a link and its tags to a batch and writes it, in the turn of the digest. `before`: the link that it replaces; `bytes`:
   * the content, if it is inline. What was pushed as a manifest stays one.
   */
  async add(
    changes: BatchChanges,
    digest: Digest,
    {
      link,
      before,
      bytes,
    }: {
      readonly link: LinkToMake
      readonly before: HostedLink | undefined
      readonly bytes: Uint8Array | undefined
    },
    write: () => Promise<void>,
  ): Promise<void> {
    const { repository, tags } = link
    const now = Date.now()
    const { kind, mediaType } = before?.kind === 'manifest' && link.kind === 'blob' ? before : link
    const made: HostedLink = { digest, kind, mediaType, linkedAt: now }
    const tag: TagValue = { digest, mediaType, pushedAt: now }
    const key = linkKey(repository, digest)
    const tagKeys = tags.map((name) => hostedTagKey(repository, name))
    changes.put(key, encodeLink(made))
    changes.put(linkedKey(digest, repository), '')
    for (const each of tagKeys) changes.put(each, encodeTag(tag))
    await this.#names.change(
      { links: new Map([[key, made]]), tags: new Map(tagKeys.map((each) => [each, tag])) },
      write,
    )
    this.#journal.append([
      { do: 'link', repository, digest, kind, mediaType, bytes },
      ...tags.map((name) => ({ do: 'tag', repository, tag: name, ...tag }) as const),
    ])
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
    this.#hasLost = true
    this.#bytes -= size
  }

  /** Makes a link young, without a sync. False: there is no such link. */
  async renew(repository: Repository, digest: Digest): Promise<boolean> {
    let isRenewed = false
    await this.#entries.inTurn(digest, async () => {
      const link = await this.get(repository, digest)
      if (link === undefined) return
      const key = linkKey(repository, digest)
      const renewed = { ...link, linkedAt: Date.now() }
      const write = (): Promise<void> => this.#database.put(key, encodeLink(renewed))
      await this.#names.change({ links: new Map([[key, renewed]]) }, write)
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
      const at = Date.now()
      const batch = this.#database.batch()
      batch.del(linkKey(repository, digest)).del(linkedKey(digest, repository))
      for (const tag of tags) batch.del(hostedTagKey(repository, tag)).del(pulledKey(repository, tag))
      await this.#names.change(
        {
          links: new Map([[linkKey(repository, digest), undefined]]),
          tags: new Map(tags.map((tag) => [hostedTagKey(repository, tag), undefined])),
        },
        () => batch.write({ sync: true }),
      )
      this.#journal.append([
        ...tags.map((tag) => ({ do: 'untag', repository, tag, at }) as const),
        { do: 'unlink', repository, digest, at },
      ])
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
    const at = Date.now()
    const key = hostedTagKey(repository, tag)
    const batch = this.#database.batch().del(key).del(pulledKey(repository, tag))
    await this.#names.change({ tags: new Map([[key, undefined]]) }, () => batch.write({ sync: true }))
    this.#journal.append([{ do: 'untag', repository, tag, at }])
  }

  /** `isStored`: whether the content has an entry. Of those that have none, only lost ones are linked. */
  async get(
    repository: Repository,
    digest: Digest,
    { isStored = true } = {},
  ): Promise<HostedLink | undefined> {
    return isStored || this.#hasLost ? this.#names.link(repository, digest) : undefined
  }
}
