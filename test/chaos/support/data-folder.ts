import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'

/** An empty folder that is removed when the test is over. */
export async function emptyFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'leat-chaos-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** The mode, owner and content hash of everything below a folder, by relative path. */
export async function listing(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const stats = await lstat(path)
    const about = `${stats.mode.toString(8)} ${stats.uid}:${stats.gid}`
    const content = entry.isFile() ? await hashOf(path) : entry.isSymbolicLink() ? await readlink(path) : ''
    found.set(path.slice(root.length + 1), `${about} ${content}`)
  }
  return found
}

/** The files of stored blobs, by the digest in their names. */
export async function blobFiles(data: string): Promise<Map<Digest, string>> {
  const found = new Map<Digest, string>()
  const root = join(data, 'blobs')
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const algorithm = entry.parentPath.slice(root.length + 1).split('/')[0]
    const digest = parseDigest(`${algorithm}:${entry.name}`)
    if (entry.isFile() && digest !== undefined) found.set(digest, join(entry.parentPath, entry.name))
  }
  return found
}

/** The sizes of partial files, by digest. */
export async function partialSizes(data: string): Promise<Map<Digest, number>> {
  const found = new Map<Digest, number>()
  for (const name of await readdir(join(data, 'partial')).catch(() => [])) {
    const digest = parseDigest(name.replace('-', ':'))
    const stats = await lstat(join(data, 'partial', name, 'data')).catch(() => undefined)
    if (digest !== undefined && stats !== undefined && stats.size > 0) found.set(digest, stats.size)
  }
  return found
}

export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
