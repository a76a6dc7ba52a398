import { availableParallelism } from 'node:os'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/repository.ts'
import type { BlobFacts, BlobStore } from '../resolve/blob-store.ts'
import type { Catalog } from '../resolve/catalog.ts'
import { type KnownTag, LevelCatalog, repositoryOf } from './catalog.ts'
import { beginAnew, type Database, isDamage, mendDatabase, openDatabase } from './database.ts'
import { DiskStore } from './disk.ts'
import { Entries } from './entries.ts'
import type { Yard } from './incoming.ts'
import { LastUse } from './last-use.ts'
import { diskFailure, type Layout, prepareLayout } from './layout.ts'
import { Partials } from './partials.ts'
import { Quarantine } from './quarantine.ts'
import { adopt, type Reconciled, reconcile } from './recover.ts'
import { SharedMemory } from './shared-memory.ts'
import { Shelves } from './shelves.ts'
import { Writers } from './writer.ts'

export interface StoreOptions {
  readonly path: string
  /** How many threads hash and write; they are started when first needed. */
  readonly writers?: number
  /** Memory for blobs on their way in, all together. */
  readonly memoryBytes?: number
}

/** Everything that this node keeps. */
export interface Store {
  readonly blobs: BlobStore
  readonly catalog: Catalog
  /** Resolves when files have been looked at that the index did not know; until then they are not found. */
  readonly recovered: Promise<void>
  usage(): { readonly bytes: number; readonly blobs: number }
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
}: StoreOptions): Promise<Store> {
  const started = performance.now()
  const layout = await prepareLayout(path).catch((cause: unknown) => {
    throw diskFailure(`cannot keep data in ${path}`, cause)
  })
  const { database, entries, reconciled } = await openIndex(layout)
  const memory = new SharedMemory(memoryBytes)
  const yard: Yard = {
    memory,
    entries,
    writers: new Writers(memory, writers),
    shelves: new Shelves(layout),
    partials: new Partials(layout),
    quarantine: new Quarantine(layout),
  }
  const lastUse = new LastUse(database)
  const blobs = new DiskStore(yard, lastUse)
  const catalog = new LevelCatalog(database)
  const stopping = new AbortController()
  let recovered: Promise<void> | undefined
  let closing: Promise<void> | undefined

  try {
    await yard.shelves.sweepDrafts()
    const kept = await yard.partials.sweep(
      async (digest) => (await entries.get(digest)) !== undefined,
      PARTIAL_MS,
    )
    recovered = recover(kept)
    await within(ADOPTION_MS, recovered)
  } catch (cause) {
    await close()
    throw diskFailure(`cannot put ${layout.root} in order`, cause)
  }

  async function recover(partials: number): Promise<void> {
    let adopted = 0
    for (const digest of reconciled.strays) {
      if (await adopt(digest, yard, { signal: stopping.signal })) adopted += 1
    }
    const { dropped } = reconciled
    const ms = Math.round(performance.now() - started)
    publish('store.recovered', { ...entries.usage, adopted, dropped, partials, ms })
  }

  async function close(): Promise<void> {
    stopping.abort()
    await recovered
    await blobs.close()
    await yard.writers.stop()
    try {
      await lastUse.stop()
    } finally {
      await database.close()
    }
  }

  return {
    blobs,
    catalog,
    recovered,
    usage: () => entries.usage,
    list: () => blobs.list(),
    tags: (repository) => catalog.tags(repository),
    holders: async (digest) => (await entries.holders(digest)).flatMap((key) => repositoryOf(key) ?? []),
    references: (manifest) => entries.children(manifest),
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
): Promise<{ database: Database; entries: Entries; reconciled: Reconciled }> {
  const shelves = new Shelves(layout)
  let database = await openDatabase(layout)
  for (const mend of [mendDatabase, beginAnew, undefined]) {
    const entries = new Entries(database)
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
async function within(ms: number, work: Promise<void>): Promise<void> {
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
