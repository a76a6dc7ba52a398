import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'
import { type Database, SEPARATOR } from '../../../src/store/database/database.ts'
import { openDatabase } from '../../../src/store/database/open-database.ts'
import { FILE_MODE, FOLDER_MODE, type Layout, prepareLayout } from '../../../src/store/files/layout.ts'
import type { BlobEntry } from '../../../src/store/index/blob-entry.ts'
import { BlobIndex } from '../../../src/store/index/blob-index.ts'
import { putKnownName } from '../../../src/store/index/known-names.ts'

/** The size of every blob. */
export const BLOB_BYTES = 32
const BATCH = 2000
const REPOSITORY = { registry: 'bench.local', name: 'bench/image' }
/** The first blob was stored a month ago, and each other one a second after the previous one. */
const SINCE = Date.now() - 30 * 24 * 60 * 60 * 1000
const EVERY_MS = 1000

/**
 * With `own` every blob has the bytes of its digest. With `shared` all blobs of a folder are links to one file, which is
 * faster and needs no memory for files, but only the names and sizes are right.
 */
export type Files = 'own' | 'shared'

/** The folder of a store with many small blobs, made much faster than by pulls. */
export class FilledStore {
  readonly #layout: Layout

  static async make(folder: string, count: number, files: Files): Promise<FilledStore> {
    const layout = await prepareLayout(folder)
    const blobs = Array.from({ length: count }, (_, at): Stored => ({ at, digest: digestOf(at) }))
    await writeIndex(layout, blobs)
    writeFiles(layout, blobs, files)
    return new FilledStore(layout)
  }

  private constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Removes the files one by one, because a recursive removal takes much longer. */
  async stop(): Promise<void> {
    const folders = join(this.#layout.blobs, 'sha256')
    for (const folder of readdirSync(folders)) {
      for (const name of readdirSync(join(folders, folder))) unlinkSync(join(folders, folder, name))
    }
  }
}

/** The digest of the blob that was stored as the `at`-th. */
export function digestOf(at: number): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(textOf(at)).digest('hex')}`)
  if (digest === undefined) throw new Error('not a digest')
  return digest
}

interface Stored {
  readonly at: number
  readonly digest: Digest
}

function textOf(at: number): string {
  return `blob ${at}`.padEnd(BLOB_BYTES - 1, '.').concat('\n')
}

function entryOf({ at, digest }: Stored): BlobEntry {
  return {
    digest,
    size: BLOB_BYTES,
    kind: 'blob',
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    storedAt: SINCE + at * EVERY_MS,
    origin: `upstream ${REPOSITORY.registry}`,
  }
}

/**
 * Writes one kind of key after the other, each in its order, so that LevelDB has little to compact. The store's own code makes
 * the keys, except that of an entry, because the store writes entries only one by one.
 */
async function writeIndex(layout: Layout, blobs: readonly Stored[]): Promise<void> {
  const { database } = await openDatabase(layout)
  try {
    const entries = new BlobIndex(database)
    // The index is marked as complete while it is empty.
    await entries.evictionOrder.ensureComplete()
    await entries.referencedBy.ensureComplete()
    const byDigest = blobs.toSorted((one, other) => (one.digest < other.digest ? -1 : 1))
    await write(database, 'blob', byDigest, (changes, blob) => {
      const { digest, ...value } = entryOf(blob)
      changes.put(`blob${SEPARATOR}${digest}`, JSON.stringify(value))
    })
    await write(database, 'holder', byDigest, (changes, { digest }) =>
      putKnownName(changes, REPOSITORY, digest),
    )
    await database.batch().put(`repository${SEPARATOR}${REPOSITORY.registry}/${REPOSITORY.name}`, '').write()
    const addToOrder = (changes: Changes, blob: Stored): void =>
      entries.evictionOrder.add(changes, entryOf(blob), undefined)
    await write(database, 'idle', blobs, addToOrder)
    await write(database, 'used', byDigest, addToOrder)
  } finally {
    await database.close()
  }
}

interface Changes {
  put(key: string, value: string): void
  del(key: string): void
}

/** Writes only the keys of one kind. */
async function write(
  database: Database,
  kind: string,
  blobs: readonly Stored[],
  addKeys: (changes: Changes, blob: Stored) => void,
): Promise<void> {
  let batch: { type: 'put'; key: string; value: string }[] = []
  const changes: Changes = {
    put: (key, value) => {
      if (key.startsWith(kind + SEPARATOR)) batch.push({ type: 'put', key, value })
    },
    del: () => {},
  }
  for (const blob of blobs) {
    addKeys(changes, blob)
    if (batch.length < BATCH) continue
    await database.batch(batch)
    batch = []
  }
  await database.batch(batch)
}

function writeFiles(layout: Layout, blobs: readonly Stored[], files: Files): void {
  const firsts = new Map<string, string>()
  for (const { at, digest } of blobs) {
    const path = layout.blob(digest)
    const folder = dirname(path)
    const first = firsts.get(folder)
    if (first === undefined) {
      mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
      firsts.set(folder, path)
    }
    if (first === undefined || files === 'own') writeFileSync(path, textOf(at), { mode: FILE_MODE })
    else linkSync(first, path)
  }
}
