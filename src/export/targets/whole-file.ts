import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { writeError } from './export-error.ts'
import type { BlobPart } from './target.ts'
import { writeVerified } from './verified-bytes.ts'

const PARTIAL = '.leat-partial-'
/** A partial file that nobody has written to for this time belongs to an export that was killed. */
const ABANDONED_MS = 10 * 60_000

/** The size of the file at `path`; undefined: there is no file. */
export async function sizeOfFile(path: string): Promise<number | undefined> {
  const found = await status(path)
  return found?.isFile() === true ? found.size : undefined
}

/** Writes a blob to a partial file beside `path`, which gets its name only when it is whole and on the disk. */
export async function writeBlobFile(
  path: string,
  blob: BlobPart,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  await replaceFile(path, async (partial) => {
    const file = await open(partial, 'wx')
    try {
      await writeVerified(blob, chunks, async (chunk) => {
        for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten
      })
      await file.datasync()
    } finally {
      await file.close()
    }
  })
}

/** Replaces a small file whole. A file that has these bytes already is left as it is. */
export async function writeSmallFile(path: string, bytes: Uint8Array): Promise<void> {
  if ((await sizeOfFile(path)) === bytes.length && (await readFile(path)).equals(bytes)) return
  await replaceFile(path, async (partial) => {
    const file = await open(partial, 'wx')
    try {
      await file.writeFile(bytes)
      await file.datasync()
    } finally {
      await file.close()
    }
  })
}

/** Makes `path` another name of the file `from`, or a copy where the file system has no more links. */
export async function linkFile(from: string, path: string): Promise<void> {
  await replaceFile(path, async (partial) => {
    try {
      await link(from, partial)
    } catch (error) {
      if (!['EMLINK', 'EPERM', 'EXDEV', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(errorCode(error) ?? ''))
        throw error
      await copyFile(from, partial)
      const copy = await open(partial, 'r+')
      await copy.datasync().finally(() => copy.close())
    }
  })
}

/** Removes what exports that were killed have left in a folder. */
export async function removeAbandoned(folder: string): Promise<void> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch {
    return
  }
  for (const name of names) {
    if (!name.startsWith(PARTIAL)) continue
    const path = join(folder, name)
    const found = await status(path)
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true })
  }
}

async function replaceFile(path: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = join(dirname(path), `${PARTIAL}${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(dirname(path), { recursive: true })
    await write(partial)
    await rename(partial, path)
  } catch (error) {
    throw writeError(error, join(dirname(path), basename(path)))
  } finally {
    // `rename` does nothing when both names are of one file, and leaves the first one.
    await rm(partial, { force: true }).catch(() => {})
  }
}

async function status(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw writeError(error, path)
  }
}
