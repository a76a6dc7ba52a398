import { randomBytes } from 'node:crypto'
import { lstat, rm, statfs, writeFile } from 'node:fs/promises'
import { FILE_MODE, ignore, type Layout } from '../files/layout.ts'

/** Opening or repairing the index may write a table of what is in its log, a new log and a new manifest: 3 MiB. */
const RESERVE_BYTES = 3 * 1024 * 1024

/**
 * Makes a file that holds a little of the disk for the index. LevelDB cannot be opened on a full disk, and an agent that
 * starts there could not even serve what is stored. The file is made only where three times its size is free: to take
 * the last bytes of a disk would cause the problem that it prevents. Like the index itself, it does not count against
 * the store's limit.
 */
export async function ensureReserve(layout: Layout): Promise<void> {
  const known = await lstat(layout.reserve).catch(ignore('ENOENT'))
  if (known?.isFile() && known.size === RESERVE_BYTES) return
  await removeReserve(layout)
  if ((await freeBytes(layout)) < 3 * RESERVE_BYTES) return
  try {
    // Some filesystems store zeros without using space, so the bytes are random. `wx` follows no link.
    await writeFile(layout.reserve, randomBytes(RESERVE_BYTES), { mode: FILE_MODE, flag: 'wx' })
  } catch (error) {
    await removeReserve(layout)
    throw error
  }
}

/** Removes the reserve file, which gives its space back to the disk. */
export async function removeReserve(layout: Layout): Promise<void> {
  await rm(layout.reserve, { force: true })
}

/** Whether there is room to open or repair the index. Removes the reserve file where that is needed. */
export async function ensureRoom(layout: Layout): Promise<boolean> {
  if ((await freeBytes(layout)) >= RESERVE_BYTES) return true
  await removeReserve(layout)
  return (await freeBytes(layout)) >= RESERVE_BYTES
}

async function freeBytes(layout: Layout): Promise<number> {
  const { bavail, bsize } = await statfs(layout.root)
  return bavail * bsize
}
