import { randomBytes } from 'node:crypto'
import { lstat, rm, statfs, writeFile } from 'node:fs/promises'
import { FILE_MODE, ignore, type Layout } from '../files/layout.ts'

/** What opening or repairing the index may need: a table of what is in its log, a new log and a new manifest. */
const RESERVE_BYTES = 3 * 1024 * 1024

/**
 * A file that holds a little of the disk for the index, which cannot be opened on a disk that is full: an agent that is
 * started there could not even answer with what it has. Only where there is plenty is it made: to take the last of a disk
 * would do the harm that it is there for. As the index itself, it does not count against what the store may hold.
 */
export async function ensureReserve(layout: Layout): Promise<void> {
  const known = await lstat(layout.reserve).catch(ignore('ENOENT'))
  if (known?.isFile() && known.size === RESERVE_BYTES) return
  await removeReserve(layout)
  if ((await freeBytes(layout)) < 3 * RESERVE_BYTES) return
  try {
    // Not zeros, which some filesystems keep in no room at all. Never through a link.
    await writeFile(layout.reserve, randomBytes(RESERVE_BYTES), { mode: FILE_MODE, flag: 'wx' })
  } catch (error) {
    await removeReserve(layout)
    throw error
  }
}

/** Gives it back to the disk. */
export async function removeReserve(layout: Layout): Promise<void> {
  await rm(layout.reserve, { force: true })
}

/** Whether there is room to open or repair the index, with what was set aside for it where there must be. */
export async function ensureRoom(layout: Layout): Promise<boolean> {
  if ((await freeBytes(layout)) >= RESERVE_BYTES) return true
  await removeReserve(layout)
  return (await freeBytes(layout)) >= RESERVE_BYTES
}

async function freeBytes(layout: Layout): Promise<number> {
  const { bavail, bsize } = await statfs(layout.root)
  return bavail * bsize
}
