import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { repositoryOf } from '../../oci/names/name-rules.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt, readRange } from '../../sources/files/file-tree.ts'
import type { ImageNames } from '../formats/import-source.ts'

const DEEPEST_NAME = 32

/** The entries of a folder in ASCII order; none if there is no such folder. */
export async function entriesOf(path: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1))
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(cause) ?? '')) return []
    throw new Failure('unavailable', `${path} cannot be read: ${errorCode(cause) ?? String(cause)}.`, {
      cause,
    })
  }
}

export async function foldersIn(path: string): Promise<readonly string[]> {
  return (await entriesOf(path)).filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/** Gives the folders below `root` that have a folder called `mark`, as parts of a path. */
export async function* foldersWith(root: string, mark: string): AsyncGenerator<readonly string[]> {
  async function* visit(parts: readonly string[]): AsyncGenerator<readonly string[]> {
    const folders = await foldersIn(join(root, ...parts))
    if (folders.includes(mark)) yield parts
    if (parts.length > DEEPEST_NAME) return
    for (const name of folders) if (!name.startsWith('_')) yield* visit([...parts, name])
  }
  yield* visit([])
}

/** A small text file without spaces around; undefined: there is none, or it is larger. */
export async function smallText(path: string): Promise<string | undefined> {
  const range = await fileAt(path)
  if (range === undefined || range.size > 1024) return undefined
  return Buffer.from(await readRange(range, 1024))
    .toString('utf8')
    .trim()
}

export function repositoryNamed(name: string, names: ImageNames): Repository | undefined {
  return repositoryOf(name, { ...names, namePrefix: undefined, prefixes: [] })
}
