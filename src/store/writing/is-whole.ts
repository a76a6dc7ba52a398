import { lstat } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import { ignore } from '../files/layout.ts'
import type { StoreParts } from './store-parts.ts'

/** Whether a content is stored, as far as the size of its file or its entry tells. */
export async function isWhole(
  digest: Digest,
  size: number,
  { index, blobFiles }: Pick<StoreParts, 'index' | 'blobFiles'>,
): Promise<boolean> {
  const entry = await index.get(digest)
  if (entry === undefined) return false
  if (entry.isInline) return entry.size === size
  const stats = await lstat(blobFiles.path(digest)).catch(ignore('ENOENT'))
  return stats?.isFile() === true && stats.size === size
}
