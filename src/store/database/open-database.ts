import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { errorCode } from '../../lib/error-code.ts'
import { publish } from '../../observe/events.ts'
import { Failure } from '../../ports/failure.ts'
import { diskFailure, FOLDER_MODE, type Layout } from '../files/layout.ts'
import type { Database } from './database.ts'
import { isRepairMarked, markRepair } from './repair-mark.ts'
import { ensureReserve, ensureRoom, removeReserve } from './reserve-file.ts'
import { ResilientLevel } from './resilient-level.ts'

/** The names of LevelDB's tables and logs. */
const TABLE_OR_LOG = /\.(?:ldb|sst|log)$/

// `level` re-exports classic-level in Node but types only what browsers have too.
const repair = (Level as unknown as { repair(location: string): Promise<void> }).repair

/** An open index. `isMended`: it was damaged, and may lack what it had. */
export interface OpenedDatabase {
  readonly database: Database
  readonly isMended: boolean
}

/** Opens the index. A damaged index is repaired or, where that fails, rebuilt from the blobs on disk. */
export async function openDatabase(layout: Layout): Promise<OpenedDatabase> {
  try {
    return { database: await tryOpen(layout), isMended: await isRepairMarked(layout) }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { database: await repairDatabase(layout, error), isMended: true }
  }
}

/** Repairs a damaged index, which must be closed. */
export async function repairDatabase(layout: Layout, cause: unknown): Promise<Database> {
  const reason = reasonOf(cause)
  // LevelDB's repair drops what it has no room to write.
  if (!(await ensureRoom(layout))) throw noRoomFailure(layout, cause)
  await markRepair(layout)
  try {
    await repair(layout.index)
    const database = await tryOpen(layout)
    await readAll(database)
    publish('store.repaired', { folder: layout.index, how: 'repaired', reason })
    return database
  } catch (error) {
    if (!isDamage(error)) throw error
    return rebuildDatabase(layout, cause)
  }
}

/** Moves the index, which must be closed, to the quarantine, and starts with an empty one. */
export async function rebuildDatabase(layout: Layout, cause: unknown): Promise<Database> {
  const movedTo = join(layout.quarantine, `index-${Date.now()}`)
  await rename(layout.index, movedTo)
  await mkdir(layout.index, { mode: FOLDER_MODE })
  const database = await tryOpen(layout)
  publish('store.repaired', {
    folder: layout.index,
    how: 'rebuilt',
    reason: `${reasonOf(cause)}; the old one is in ${movedTo}`,
  })
  return database
}

export function isDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = errorCode(error) ?? ''
  if (['corrupt', 'LEVEL_CORRUPTION', 'LEVEL_INVALID_ARGUMENT'].includes(code)) return true
  // A file of the index is missing, or contains impossible offsets.
  if (code === 'LEVEL_IO_ERROR' && /No such file|Invalid argument/.test(error.message)) return true
  return isDamage(error.cause)
}

/** Opens the index. On a full disk the reserve file is removed first. */
async function tryOpen(layout: Layout): Promise<Database> {
  let database: Database
  try {
    database = await openOnce(layout)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    await removeReserve(layout)
    return openOnce(layout).catch((cause: unknown) => {
      throw isDiskFull(cause) ? noRoomFailure(layout, cause) : cause
    })
  }
  // Where no reserve can be made now, the next start tries again.
  await ensureReserve(layout).catch(() => {})
  return database
}

function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (errorCode(error) === 'LEVEL_IO_ERROR' && /No space left|quota exceeded/i.test(error.message))
    return true
  return isDiskFull(error.cause)
}

function noRoomFailure(layout: Layout, cause: unknown): Failure {
  return new Failure(
    'disk',
    `the disk is too full to open the index in ${layout.index} (${reasonOf(cause)}): make room for a few MiB`,
    { cause },
  )
}

async function openOnce(layout: Layout): Promise<Database> {
  const names = await readdir(layout.index)
  if (!names.includes('CURRENT') && names.some((name) => TABLE_OR_LOG.test(name))) {
    // LevelDB would take the folder for a new database, and delete its files.
    throw new Failure('corrupt', 'CURRENT is missing')
  }
  const database = new ResilientLevel(layout.index)
  try {
    await database.open()
    return database
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    if (errorCode(cause) === 'LEVEL_LOCKED') {
      throw new Failure(
        'disk',
        `${layout.root} is in use by another agent: stop that one, or give this one another folder for its data`,
        { cause },
      )
    }
    if (isDamage(error)) throw error
    throw diskFailure(`cannot open the index in ${layout.index}`, cause ?? error)
  }
}

/** Reads all keys: damage inside a table shows only when the table is read. */
async function readAll(database: Database): Promise<void> {
  const keys = database.keys()
  try {
    while ((await keys.nextv(1000)).length > 0);
  } catch (error) {
    await database.close()
    throw error
  } finally {
    await keys.close()
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}
