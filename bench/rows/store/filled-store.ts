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

/** Every blob has so many bytes. */
export const BLOB_BYTES = 32
const BATCH = 2000
const REPOSITORY = { registry: 'bench.local', name: 'bench/image' }
/** The first was stored then, a month ago, and each other one some time after the one before it. */
const SINCE = Date.now() - 30 * 24 * 60 * 60 * 1000
const EVERY_MS = 1000

/**
 * Whether every blob has the bytes of its digest, or shares one file with its folder: such a store is filled and removed
 * sooner and takes no memory for files, but only names and sizes in it are true.
 */
export type Files = 'own' | 'shared'

/** A store's folder with many small blobs in it, as an agent would have left it, made many times faster than by pulling. */
export class Filled {
  readonly #layout: Layout

  static async make(folder: string, count: number, files: Files): Promise<Filled> {
    const layout = await prepareLayout(folder)
    const blobs = Array.from({ length: count }, (_, at): Stored => ({ at, digest: digestOf(at) }))
    await writeIndex(layout, blobs)
    writeFiles(layout, blobs, files)
    return new Filled(layout)
  }

  private constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Removes its files: a single step for all that is in the folder takes much longer. */
  async stop(): Promise<void> {
    const shelves = join(this.#layout.blobs, 'sha256')
    for (const shelf of readdirSync(shelves)) {
      for (const name of readdirSync(join(shelves, shelf))) unlinkSync(join(shelves, shelf, name))
    }
  }
}

/** Of the blob that was stored as the `at`-th. */
export function digestOf(at: number): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(textOf(at)).digest('hex')}`)
  if (digest === undefined) throw new Error('SHA-256 gives something that is no digest')
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
 * Kind of key by kind of key, each in its order, so that LevelDB has next to nothing to rearrange. The keys are the store's
 * own but for that of an entry, which it writes only for one blob at a time.
 */
async function writeIndex(layout: Layout, blobs: readonly Stored[]): Promise<void> {
  const database = await openDatabase(layout)
  try {
    const entries = new BlobIndex(database)
    // Says, while there is none yet, that every blob is ranked, and which manifests reference it.
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
    const enter = (changes: Changes, blob: Stored): void =>
      entries.evictionOrder.add(changes, entryOf(blob), undefined)
    await write(database, 'idle', blobs, enter)
    await write(database, 'used', byDigest, enter)
  } finally {
    await database.close()
  }
}

interface Changes {
  put(key: string, value: string): void
  del(key: string): void
}

/** Of what is said about each blob only the keys of one kind. */
async function write(
  database: Database,
  kind: string,
  blobs: readonly Stored[],
  say: (changes: Changes, blob: Stored) => void,
): Promise<void> {
  let batch: { type: 'put'; key: string; value: string }[] = []
  const changes: Changes = {
    put: (key, value) => {
      if (key.startsWith(kind + SEPARATOR)) batch.push({ type: 'put', key, value })
    },
    del: () => {},
  }
  for (const blob of blobs) {
    say(changes, blob)
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
    const shelf = dirname(path)
    const first = firsts.get(shelf)
    if (first === undefined) {
      mkdirSync(shelf, { recursive: true, mode: FOLDER_MODE })
      firsts.set(shelf, path)
    }
    if (first === undefined || files === 'own') writeFileSync(path, textOf(at), { mode: FILE_MODE })
    else linkSync(first, path)
  }
}
