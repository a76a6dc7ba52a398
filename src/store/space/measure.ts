import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { digestOfPartial, ignore, type Layout, sizeOfFolder } from '../files/layout.ts'
import type { DiskMeasurement } from './budget-types.ts'

/** Measures the filesystem, the partials and the quarantine. The index knows the size of all stored blobs. */
export async function measureDisk(layout: Layout): Promise<DiskMeasurement> {
  const [{ blocks, bavail, bsize }, quarantineBytes, partials] = await Promise.all([
    statfs(layout.root),
    sizeOfFolder(layout.quarantine),
    sizesOfPartials(layout),
  ])
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, quarantineBytes, partials }
}

async function sizesOfPartials(layout: Layout): Promise<DiskMeasurement['partials']> {
  const partials = new Map<Digest, { bytes: number; modifiedAt: number }>()
  for (const name of await readdir(layout.partial)) {
    const digest = digestOfPartial(name)
    if (digest === undefined) continue
    const stats = await lstat(join(layout.partial, name, 'data')).catch(ignore('ENOENT', 'ENOTDIR'))
    if (stats?.isFile()) partials.set(digest, { bytes: stats.size, modifiedAt: stats.mtimeMs })
  }
  return partials
}
