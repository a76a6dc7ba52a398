import { type LanePool, openLanes } from '../lanes/lane-pool.ts'
import type { DiskLimit } from '../lib/disk-limit.ts'
import { publish } from '../observe/events.ts'
import { repositoryFromKey } from '../oci/names/repository.ts'
import { JournalCare } from './care/journal-care.ts'
import { adopt } from './care/recover.ts'
import { Scrub } from './care/scrub.ts'
import { DiskBlobStore } from './disk-blob-store.ts'
import { BlobFiles } from './files/blob-files.ts'
import { diskFailure, prepareLayout } from './files/layout.ts'
import { Partials } from './files/partials.ts'
import { Quarantine } from './files/quarantine.ts'
import { DiskUploads } from './hosted/disk-uploads.ts'
import { DiskHostedStore } from './hosted/hosted-store.ts'
import { allTags } from './index/all-tags.ts'
import { LevelCatalog } from './index/catalog.ts'
import { FirstUse } from './index/first-use.ts'
import { LevelHostedCatalog } from './index/hosted/hosted-catalog.ts'
import { LastUse } from './index/last-use.ts'
import { IndexHistoryLog } from './index/statistics/history-log.ts'
import { IndexSavingsLedger } from './index/statistics/savings-ledger.ts'
import { HostedJournal } from './journal/journal.ts'
import { openIndex, tellLost } from './open-index.ts'
import { DiskBudget } from './space/disk-budget.ts'
import { Eviction } from './space/evict.ts'
import { measureDisk } from './space/measure.ts'
import type { Store } from './store.ts'
import type { StoreParts } from './writing/store-parts.ts'

export interface StoreOptions {
  readonly path: string
  /**
   * The lanes of the agent, with the memory for all incoming contents; without them the store has lanes of its own. Closing the
   * store ends them.
   */
  readonly lanes?: LanePool
  /** How much the store may hold; without a limit nothing is evicted. */
  readonly maxBytes?: DiskLimit | undefined
  /** How much of the filesystem stays free; the store shrinks where other programs fill it. Default: nothing. */
  readonly minFree?: DiskLimit | undefined
}

/** A partial that was not resumed for a day is removed at the next start. */
const PARTIAL_MAX_AGE_MS = 24 * 60 * 60 * 1000
/** A start waits at most 2 s for unknown files to be hashed. After a crash there are few, and that is long enough. */
const ADOPTION_WAIT_MS = 2000

export async function openStore({
  path,
  lanes = openLanes(),
  maxBytes,
  minFree,
}: StoreOptions): Promise<Store> {
  const started = performance.now()
  const layout = await prepareLayout(path).catch((cause: unknown) => {
    throw diskFailure(`cannot keep data in ${path}`, cause)
  })
  const journal = new HostedJournal(layout.hosted)
  const { database, index, reconciled, isMended } = await openIndex(layout, journal)
  const budget: DiskBudget = new DiskBudget({
    limit: maxBytes,
    minFree,
    store: {
      storedBytes: () => index.usage.bytes,
      unevictableBytes: () => eviction.unevictableBytes(),
      measure: () => measureDisk(layout),
      evict: (bytes, reason, leftovers) => eviction.evict(bytes, reason, leftovers),
    },
  })
  const parts: StoreParts = {
    memory: lanes.memory,
    budget,
    index,
    lanes,
    blobFiles: new BlobFiles(layout),
    partials: new Partials(layout),
    quarantine: new Quarantine(layout, () => budget.limitBytes),
  }
  const lastUse = new LastUse(index.evictionOrder)
  const blobs = new DiskBlobStore(parts, lastUse)
  const eviction = new Eviction(index, lastUse, blobs)
  const catalog = new LevelCatalog(database)
  const hosted = new DiskHostedStore(
    {
      catalog: new LevelHostedCatalog(database, index.links, index),
      uploads: new DiskUploads(parts, (upload) => blobs.receiveUpload(upload)),
    },
    parts,
    (digest) => blobs.claim(digest),
  )
  const journalCare = new JournalCare({ database, journal, index, catalog: hosted.catalog })
  const firstUse = new FirstUse(database)
  blobs.onDropped((digest) => void firstUse.forget(digest).catch(() => {}))
  const scrub = new Scrub(database, {
    ...parts,
    dropCorrupt: (digest, found) => blobs.dropCorrupt(digest, found),
  })
  const stopping = new AbortController()
  let recovered: Promise<void> | undefined
  let indexCompleted: Promise<unknown> | undefined
  let closing: Promise<void> | undefined

  try {
    await journalCare.open({ isMended })
    await parts.blobFiles.sweepDrafts()
    const partials = await parts.partials.sweep(
      async (digest) => (await index.get(digest)) !== undefined,
      PARTIAL_MAX_AGE_MS,
    )
    await budget.check()
    await parts.quarantine.prune()
    recovered = recover(partials)
    await waitAtMost(ADOPTION_WAIT_MS, recovered)
    await firstUse.sweep(async (digests) =>
      (await index.getMany(digests)).map((entry) => entry !== undefined),
    )
    // After a failure of this step, the first caller that needs the complete index tries again.
    indexCompleted = Promise.allSettled([
      index.evictionOrder.ensureComplete(),
      index.referencedBy.ensureComplete(),
    ])
  } catch (cause) {
    await close()
    throw diskFailure(`cannot put ${layout.root} in order`, cause)
  }

  async function recover(partials: number): Promise<void> {
    let adopted = 0
    for (const digest of reconciled.unknownFiles) {
      if (await adopt(digest, parts, { signal: stopping.signal })) adopted += 1
      else if ((await index.get(digest)) === undefined) await tellLost(index, digest)
    }
    const { dropped } = reconciled
    const ms = Math.round(performance.now() - started)
    publish('store.recovered', { ...index.usage, adopted, dropped, partials, ms })
    // The adopted files may exceed the limit.
    await budget.check()
  }

  async function close(): Promise<void> {
    stopping.abort()
    await recovered?.catch(() => {})
    await scrub.close()
    await budget.stop()
    await indexCompleted
    await blobs.close()
    await parts.lanes.stop()
    // A full disk takes no more writes: then the order of eviction follows from earlier uses.
    await lastUse.stop().catch(() => {})
    await journalCare.close().catch(() => {})
    await database.close()
  }

  return {
    blobs,
    receiver: blobs,
    adoptFile: (file, options) => blobs.adoptFile(file, options),
    catalog,
    hosted,
    recovered,
    usage: () => index.usage,
    hostedUsage: () => index.links.usage,
    pinnedBytes: () => eviction.pinnedBytes(),
    room: () => ({ limitBytes: budget.limitBytes, evictedBytes: eviction.evictedBytes }),
    limitTo: (limit) => budget.limitTo(limit),
    quarantined: (digest) => parts.quarantine.filesOf(digest),
    peek: (digest) => blobs.peek(digest),
    onDropped: (listener) => blobs.onDropped(listener),
    gc: (options) => budget.collect(options),
    pin: (digest, name) => index.pins.pin(digest, name, (manifest) => index.references(manifest)),
    unpin: async (digest, name) => {
      await index.pins.unpin(digest, name)
      index.evictionOrder.rewind()
    },
    isPinned: (digest) => index.pins.isPinned(digest),
    pins: () => index.pins.list(),
    pinsOf: (digest) => index.pins.pinsRetaining(digest),
    remove: async (digest) => !(await index.pins.isRetained(digest)) && blobs.remove(digest),
    openBlobs: () => blobs.openBlobs.list().length,
    scrub,
    verify: (options) => scrub.verify(options),
    list: () => blobs.list(),
    tags: (repository) => allTags(catalog.tags(repository), hosted.catalog.tags(repository)),
    repositoriesOf: async (digest) =>
      (await index.repositoriesOf(digest)).flatMap((key) => repositoryFromKey(key) ?? []),
    savings: new IndexSavingsLedger(database),
    history: new IndexHistoryLog(database),
    markUsed: (digest) => firstUse.mark(digest),
    references: (manifest) => index.references(manifest),
    referrersOf: (subject) => index.referrersOf(subject),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

async function waitAtMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
