import { lstat, open, rm } from 'node:fs/promises'
import { FILE_MODE, ignore, type Layout, syncFolder } from '../files/layout.ts'

/**
 * Marks, durably, that the index is being repaired. A start that ends after the repair leaves an index which opens without a
 * complaint and lacks what the repair has dropped; by the mark the next start knows.
 */
export async function markRepair(layout: Layout): Promise<void> {
  const file = await open(layout.repairMark, 'w', FILE_MODE)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(layout.root)
}

export async function isRepairMarked(layout: Layout): Promise<boolean> {
  return (await lstat(layout.repairMark).catch(ignore('ENOENT'))) !== undefined
}

/** To be called once the index itself says, durably, that it lacks something. */
export async function removeRepairMark(layout: Layout): Promise<void> {
  await rm(layout.repairMark, { force: true })
}
