import { availableParallelism } from 'node:os'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobFacts, BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Content } from '../ports/content.ts'
import { adopt, type ReconcileResult, reconcile } from './care/recover.ts'
import { Scrub, type Verified, type VerifyOptions } from './care/scrub.ts'
import { DiskBlobStore } from './disk-blob-store.ts'
import { BlobFiles } from './files/blob-files.ts'
import { diskFailure, type Layout, prepareLayout } from './files/layout.ts'
import { Partials } from './files/partials.ts'
import { Quarantine } from './files/quarantine.ts'
import { BlobIndex } from './index/blob-index.ts'
import { type KnownTag, LevelCatalog, repositoryOf } from './index/catalog.ts'
import type { Database } from './index/database.ts'
import { LastUse } from './index/last-use.ts'
import { isDamage, openDatabase, rebuildDatabase, repairDatabase } from './index/open-database.ts'
import type { Pin } from './index/pins.ts'
import type { DiskLimit, Freed } from './space/budget-types.ts'
import { DiskBudget } from './space/disk-budget.ts'
import { Eviction } from './space/evict.ts'
import { measureDisk } from './space/measure.ts'
import type { StoreParts } from './writing/store-parts.ts'
import { SharedMemory } from './writing/threads/shared-memory.ts'
import { WriterPool } from './writing/threads/writer-pool.ts'

export interface StoreOptions {
  readonly path: string
  /** How many threads hash and write; they are started when first needed. */
  readonly writers?: number
  /** Memory for blobs on their way in, all together. */
  readonly memoryBytes?: number
  /** How much it may hold; without it, whatever comes. */
  readonly maxBytes?: DiskLimit
  /** Called with each stored blob that was dropped: who remembers it must forget it. */
  readonly onDropped?: (digest: Digest) => void
}

/** Everything that this node keeps. */
export interface Store {
  readonly blobs: BlobStore
  readonly catalog: Catalog
  /** Resolves when files have been looked at that the index did not know; until then they are not found. */
  readonly recovered: Promise<void>
  usage(): { readonly bytes: number; readonly blobs: number }
  /** The high mark, undefined without a limit; and what was let go of since the start, to make room. */
  room(): { readonly limitBytes: number | undefined; readonly evictedBytes: number }
  /** The blob, opened for reading without being marked as used. */
  peek(digest: Digest): Promise<Content | undefined>
  /** Evicts now, down to `toBytes`, or else to the low mark. Rejects with the signal's reason. */
  gc(options: { toBytes?: number; signal: AbortSignal }): Promise<Freed>
  /**
   * From now on it is not evicted, and nothing of what it needs if it is a manifest; it need not be here yet. Durable when
   * it resolves.
   */
  pin(digest: Digest): Promise<void>
  unpin(digest: Digest): Promise<void>
  isPinned(digest: Digest): Promise<boolean>
  /** In the order of digests. */
  pins(): AsyncIterable<Pin>
  /** The pins because of which it is kept: itself, manifests that need it. */
  pinsOf(digest: Digest): Promise<readonly Digest[]>
  /** Drops a blob, also while it is being read. False: it is not here, or a pin keeps it. */
  remove(digest: Digest): Promise<boolean>
  /** How many stored blobs are being read. */
  openBlobs(): number
  /** The look at everything stored that goes on while nobody needs the disk, once it is started. */
  readonly scrub: Pick<Scrub, 'start' | 'state'>
  /** Re-hashes everything stored. What is rotten is put aside and dropped, to be fetched again at the next request. */
  verify(options: VerifyOptions): AsyncIterable<Verified>
  list(): AsyncIterable<BlobFacts>
  /** Tags that are remembered: of one repository, or all. */
  tags(repository?: Repository): AsyncIterable<KnownTag>
  /** Where it was seen. */
  holders(digest: Digest): Promise<readonly Repository[]>
  /** What this manifest needs to be whole. */
  references(manifest: Digest): Promise<readonly Digest[]>
  /** Manifests here whose subject it is. */
  referrersOf(subject: Digest): Promise<readonly Digest[]>
  /** Lets go of everything. What is still on its way in is kept as the start of a later attempt. */
  close(): Promise<void>
}

const MEMORY_BYTES = 16 * 1024 * 1024
const PARTIAL_MS = 24 * 60 * 60 * 1000
/** So long a start waits for files to be hashed that the index does not know: after a crash it is done by then. */
const ADOPTION_MS = 2000

export async function openStore({
  path,
  writers = Math.min(2, availableParallelism()),
  memoryBytes = MEMORY_BYTES,
  maxBytes,
  onDropped = () => {},
}: StoreOptions): Promise<Store> {
  const started = performance.now()
  const layout = await prepareLayout(path).catch((cause: unknown) => {
    throw diskFailure(`cannot keep data in ${path}`, cause)
  })
  const { database, entries, reconciled } = await openIndex(layout)
  const memory = new SharedMemory(memoryBytes)
  const room: DiskBudget = new DiskBudget({
    limit: maxBytes,
    store: {
      storedBytes: () => entries.usage.bytes,
      unevictableBytes: () => eviction.unevictableBytes(),
      measure: () => measureDisk(layout),
      evict: (bytes, reason, leftovers) => eviction.evict(bytes, reason, leftovers),
    },
  })
  const parts: StoreParts = {
    memory,
    budget: room,
    index: entries,
    writerPool: new WriterPool(memory, writers),
    blobFiles: new BlobFiles(layout),
    partials: new Partials(layout),
    quarantine: new Quarantine(layout, () => room.limitBytes),
  }
  const lastUse = new LastUse(entries.evictionOrder)
  const blobs = new DiskBlobStore(parts, lastUse, onDropped)
  const eviction = new Eviction(entries, lastUse, blobs)
  const catalog = new LevelCatalog(database)
  const scrub = new Scrub(database, {
    ...parts,
    dropCorrupt: (digest, found) => blobs.dropCorrupt(digest, found),
  })
  const stopping = new AbortController()
  let recovered: Promise<void> | undefined
  let placed: Promise<unknown> | undefined
  let closing: Promise<void> | undefined

  try {
    await parts.blobFiles.sweepDrafts()
    const kept = await parts.partials.sweep(
      async (digest) => (await entries.get(digest)) !== undefined,
      PARTIAL_MS,
    )
    await room.check()
    await parts.quarantine.prune()
    recovered = recover(kept)
    await waitAtMost(ADOPTION_MS, recovered)
    // Tried again by the first who needs it.
    placed = Promise.allSettled([
      entries.evictionOrder.ensureComplete(),
      entries.referencedBy.ensureComplete(),
    ])
  } catch (cause) {
    await close()
    throw diskFailure(`cannot put ${layout.root} in order`, cause)
  }

  async function recover(partials: number): Promise<void> {
    let adopted = 0
    for (const digest of reconciled.unknownFiles) {
      if (await adopt(digest, parts, { signal: stopping.signal })) adopted += 1
    }
    const { dropped } = reconciled
    const ms = Math.round(performance.now() - started)
    publish('store.recovered', { ...entries.usage, adopted, dropped, partials, ms })
    // What was found may be more than there should be.
    await room.check()
  }

  async function close(): Promise<void> {
    stopping.abort()
    await recovered?.catch(() => {})
    await scrub.close()
    await room.stop()
    await placed
    await blobs.close()
    await parts.writerPool.stop()
    // A full disk takes no more uses: what goes first is then told by the earlier ones.
    await lastUse.stop().catch(() => {})
    await database.close()
  }

  return {
    blobs,
    catalog,
    recovered,
    usage: () => entries.usage,
    room: () => ({ limitBytes: room.limitBytes, evictedBytes: eviction.evictedBytes }),
    peek: (digest) => blobs.peek(digest),
    gc: (options) => room.collect(options),
    pin: (digest) => entries.pins.pin(digest, (manifest) => entries.references(manifest)),
    unpin: async (digest) => {
      await entries.pins.unpin(digest)
      entries.evictionOrder.rewind()
    },
    isPinned: (digest) => entries.pins.isPinned(digest),
    pins: () => entries.pins.list(),
    pinsOf: (digest) => entries.pins.pinsRetaining(digest),
    remove: async (digest) => !(await entries.pins.isRetained(digest)) && blobs.remove(digest),
    openBlobs: () => blobs.openBlobs.list().length,
    scrub,
    verify: (options) => scrub.verify(options),
    list: () => blobs.list(),
    tags: (repository) => catalog.tags(repository),
    holders: async (digest) =>
      (await entries.repositoriesOf(digest)).flatMap((key) => repositoryOf(key) ?? []),
    references: (manifest) => entries.references(manifest),
    referrersOf: (subject) => entries.referrersOf(subject),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

/** The index, known to be readable and to say what is on the disk. Damage may show only when it is read. */
async function openIndex(
  layout: Layout,
): Promise<{ database: Database; entries: BlobIndex; reconciled: ReconcileResult }> {
  const shelves = new BlobFiles(layout)
  let database = await openDatabase(layout)
  for (const mend of [repairDatabase, rebuildDatabase, undefined]) {
    const entries = new BlobIndex(database)
    try {
      return { database, entries, reconciled: await reconcile(entries, shelves) }
    } catch (error) {
      await database.close()
      if (mend === undefined || !isDamage(error)) throw diskFailure(`cannot read ${layout.index}`, error)
      database = await mend(layout, error)
    }
  }
  throw new Error('the last turn returns or throws')
}

/** Waits for it, but not longer than that. */
async function waitAtMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await Promise.race([work, enough])
  } finally {
    clearTimeout(timer)
  }
}
