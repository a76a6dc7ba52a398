import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** What is below a folder: the mode, the owner, and the bytes or the target of each file. */
export async function settingsOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const found = await Promise.all(
    entries.map(async (entry): Promise<[string, string]> => {
      const path = join(entry.parentPath, entry.name)
      const { mode, uid, gid } = await lstat(path)
      const content = entry.isFile()
        ? await readFile(path, 'latin1')
        : entry.isSymbolicLink()
          ? await readlink(path)
          : ''
      return [relative(folder, path), `${mode.toString(8)} ${uid}:${gid} ${content}`]
    }),
  )
  return Object.fromEntries(found.sort())
}
