import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { digestOfPartial, ignore, type Layout, sizeOfFolder } from '../files/layout.ts'
import type { DiskMeasurement } from './disk-budget.ts'

/** Looks at the disk: the filesystem, partials and quarantine. What is stored is known to the index. */
export async function measureDisk(layout: Layout): Promise<DiskMeasurement> {
  const [{ blocks, bavail, bsize }, quarantine, partials] = await Promise.all([
    statfs(layout.root),
    sizeOfFolder(layout.quarantine),
    partialsIn(layout),
  ])
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, quarantineBytes: quarantine, partials }
}

async function partialsIn(layout: Layout): Promise<DiskMeasurement['partials']> {
  const partials = new Map<Digest, { bytes: number; at: number }>()
  for (const name of await readdir(layout.partial)) {
    const digest = digestOfPartial(name)
    if (digest === undefined) continue
    const stats = await lstat(join(layout.partial, name, 'data')).catch(ignore('ENOENT', 'ENOTDIR'))
    if (stats?.isFile()) partials.set(digest, { bytes: stats.size, at: stats.mtimeMs })
  }
  return partials
}
