import { lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { RuntimeFailure } from './failure.ts'
import { fileFailure, isAbsent } from './file-failure.ts'

const MAX_LINKS = 40

/** Resolves the symbolic links of a path of the host. The result is always inside `root`. */
export async function realPath(root: string, path: string): Promise<string> {
  const pending = path.split('/')
  let resolved: string[] = []
  let links = 0
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      resolved.pop()
      continue
    }
    const target = await linkTarget(join(root, ...resolved, part))
    if (target === undefined) {
      resolved.push(part)
      continue
    }
    links += 1
    if (links > MAX_LINKS)
      throw new RuntimeFailure(`${path} has too many symbolic links, or a loop of them; correct them first`)
    if (target.startsWith('/')) resolved = []
    pending.unshift(...target.split('/'))
  }
  return join(root, ...resolved)
}

/** Undefined if the path is not a symbolic link. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw fileFailure('read', path, cause)
  }
}
