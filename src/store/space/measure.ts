import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { bytesIn, digestOfPartial, ignore, type Layout } from '../files/layout.ts'
import type { Measured } from './disk-budget.ts'

/** Looks at the disk: the filesystem, partials and quarantine. What is stored is known to the index. */
export async function measure(layout: Layout): Promise<Measured> {
  const [{ blocks, bavail, bsize }, quarantine, partials] = await Promise.all([
    statfs(layout.root),
    bytesIn(layout.quarantine),
    partialsIn(layout),
  ])
  return { total: blocks * bsize, free: bavail * bsize, quarantine, partials }
}

async function partialsIn(layout: Layout): Promise<Measured['partials']> {
  const partials = new Map<Digest, { bytes: number; at: number }>()
  for (const name of await readdir(layout.partial)) {
    const digest = digestOfPartial(name)
    if (digest === undefined) continue
    const stats = await lstat(join(layout.partial, name, 'data')).catch(ignore('ENOENT', 'ENOTDIR'))
    if (stats?.isFile()) partials.set(digest, { bytes: stats.size, at: stats.mtimeMs })
  }
  return partials
}
