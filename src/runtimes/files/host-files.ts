import { constants } from 'node:fs'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { RuntimeFailure } from './failure.ts'

const MAX_LINKS = 40
const MAX_BYTES = 4 * 1024 * 1024
const FILE_MODE = 0o644
const FOLDER_MODE = 0o755
/** One that a killed attempt has left is written over, a link is not followed. */
const FRESH = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW

/**
 * The files of a host whose root is a folder here: `/`, or where it is mounted into a container. Paths are the host's;
 * so are the targets of its symbolic links, which are followed inside that root and never out of it.
 */
export class HostFiles {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** Undefined when there is none. */
  async read(path: string): Promise<Buffer | undefined> {
    const real = await this.#real(path)
    try {
      const found = await stat(real)
      if (found.isDirectory()) throw new RuntimeFailure(`${path} is a folder; expected a file`)
      if (found.size > MAX_BYTES)
        throw new RuntimeFailure(`${path} is larger than 4MiB; it cannot be settings`)
      return await readFile(real)
    } catch (cause) {
      if (isAbsent(cause)) return undefined
      throw explained('read', path, cause)
    }
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#stat(path)) !== undefined
  }

  /** What is in a folder, in the order of its bytes; nothing when it is absent. */
  async names(path: string): Promise<readonly string[]> {
    try {
      return (await readdir(await this.#real(path))).sort((a, b) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      )
    } catch (cause) {
      if (isAbsent(cause)) return []
      throw explained('read', path, cause)
    }
  }

  async folders(path: string): Promise<readonly string[]> {
    const found: string[] = []
    for (const name of await this.names(path)) {
      if ((await this.#stat(`${path}/${name}`))?.isDirectory() === true) found.push(name)
    }
    return found
  }

  /** The folders above a file that would have to be made for it, outermost first. */
  async missingAbove(path: string): Promise<readonly string[]> {
    const missing: string[] = []
    for (let above = dirname(path); above !== '/' && !(await this.exists(above)); above = dirname(above)) {
      missing.unshift(above)
    }
    return missing
  }

  /**
   * All of it or nothing: into a file beside it that takes its place. Mode and owner of what was there are kept, a
   * symbolic link stays one and its target is written.
   */
  async write(path: string, bytes: Uint8Array, mode: number = FILE_MODE): Promise<void> {
    try {
      for (const folder of await this.missingAbove(path)) {
        const made = await this.#real(folder)
        await mkdir(made)
        await chmod(made, FOLDER_MODE)
      }
      const real = await this.#real(path)
      const before = await this.#stat(path)
      const fresh = `${real}.leat-${process.pid}`
      const file = await open(fresh, FRESH, 0o600)
      try {
        try {
          await file.writeFile(bytes)
          await file.sync()
        } finally {
          await file.close()
        }
        if (before !== undefined) await owned(fresh, before)
        await chmod(fresh, before === undefined ? mode : before.mode & 0o7777)
        await rename(fresh, real)
      } finally {
        await rm(fresh, { force: true })
      }
    } catch (cause) {
      throw explained('write', path, cause)
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await rm(await this.#real(path), { force: true })
    } catch (cause) {
      throw explained('remove', path, cause)
    }
  }

  /** Leaves a folder that holds something. */
  async removeEmpty(path: string): Promise<void> {
    try {
      await rmdir(await this.#real(path))
    } catch (cause) {
      const code = errorCode(cause)
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && !isAbsent(cause))
        throw explained('remove', path, cause)
    }
  }

  async #stat(path: string) {
    try {
      return await stat(await this.#real(path))
    } catch (cause) {
      if (isAbsent(cause)) return undefined
      throw explained('read', path, cause)
    }
  }

  async #real(path: string): Promise<string> {
    const ahead = path.split('/')
    let done: string[] = []
    let links = 0
    for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) {
      if (part === '' || part === '.') continue
      if (part === '..') {
        done.pop()
        continue
      }
      const target = await linkTarget(join(this.root, ...done, part))
      if (target === undefined) {
        done.push(part)
        continue
      }
      links += 1
      if (links > MAX_LINKS)
        throw new RuntimeFailure(`${path} is a circle of symbolic links; untangle it first`)
      if (target.startsWith('/')) done = []
      ahead.unshift(...target.split('/'))
    }
    return join(this.root, ...done)
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw explained('read', path, cause)
  }
}

async function owned(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  try {
    await chown(path, uid, gid)
  } catch (cause) {
    const made = await stat(path)
    if (made.uid !== uid || made.gid !== gid) throw cause
  }
}

function isAbsent(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** How it is said that another user could. */
export const NOT_ALLOWED = 'this user may not; run it as root'

const REASONS: Readonly<Record<string, string>> = {
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  EROFS:
    'the file system is read-only; mount it writable, or write the settings where the image of this host is built',
  ENOSPC: 'no space is left; make room and run it again',
  EDQUOT: 'no space is left; make room and run it again',
  EBUSY: 'it is a mount of its own and cannot be replaced; mount its folder instead',
}

function explained(verb: string, path: string, cause: unknown): Error {
  if (cause instanceof RuntimeFailure) return cause
  const code = errorCode(cause)
  return new RuntimeFailure(`cannot ${verb} ${path}: ${REASONS[code ?? ''] ?? code ?? String(cause)}`, {
    cause,
  })
}
