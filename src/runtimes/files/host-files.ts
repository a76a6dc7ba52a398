import { constants } from 'node:fs'
import {
  access,
  chmod,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { RuntimeFailure } from './failure.ts'
import { fileFailure, isAbsent } from './file-failure.ts'
import { realPath } from './real-path.ts'

const MAX_BYTES = 4 * 1024 * 1024
const FILE_MODE = 0o644
const FOLDER_MODE = 0o755
/** A file that a killed attempt has left is overwritten. A link is not followed. */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW

/**
 * The files of a host. The root of the host is `/`, or the folder at which it is mounted in a container. All paths, and
 * the targets of symbolic links, are paths of the host: links never lead out of its root.
 */
export class HostFiles {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** Undefined if the file does not exist. */
  async read(path: string): Promise<Buffer | undefined> {
    const real = await this.#real(path)
    try {
      const status = await stat(real)
      if (status.isDirectory()) throw new RuntimeFailure(`${path} is a folder; expected a file`)
      if (status.size > MAX_BYTES)
        throw new RuntimeFailure(`${path} is larger than 4 MiB; it cannot be a settings file`)
      return await readFile(real)
    } catch (cause) {
      if (isAbsent(cause)) return undefined
      throw fileFailure('read', path, cause)
    }
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#stat(path)) !== undefined
  }

  /** The names in a folder, in byte order; none if the folder does not exist. */
  async names(path: string): Promise<readonly string[]> {
    try {
      return (await readdir(await this.#real(path))).sort((a, b) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      )
    } catch (cause) {
      if (isAbsent(cause)) return []
      throw fileFailure('read', path, cause)
    }
  }

  /** The names of the folders in a folder. */
  async folders(path: string): Promise<readonly string[]> {
    const found: string[] = []
    for (const name of await this.names(path)) {
      if ((await this.#stat(`${path}/${name}`))?.isDirectory() === true) found.push(name)
    }
    return found
  }

  /** Whether a file can be created in a folder, which need not exist yet. */
  async canWriteIn(folder: string): Promise<boolean> {
    try {
      let existing = folder
      while (existing !== '/' && !(await this.exists(existing))) existing = dirname(existing)
      await access(await this.#real(existing), constants.W_OK)
      return (await this.#stat(existing))?.isDirectory() === true
    } catch {
      return false
    }
  }

  /** The parent folders of a file that do not exist, outermost first. */
  async missingAbove(path: string): Promise<readonly string[]> {
    const missing: string[] = []
    for (let above = dirname(path); above !== '/' && !(await this.exists(above)); above = dirname(above)) {
      missing.unshift(above)
    }
    return missing
  }

  /**
   * Writes a new file beside the old one and renames it, so that the change is atomic. Mode and owner of the old file are
   * preserved. If the path is a symbolic link, its target is written.
   */
  async write(path: string, bytes: Uint8Array, mode: number = FILE_MODE): Promise<void> {
    try {
      for (const folder of await this.missingAbove(path)) {
        const realFolder = await this.#real(folder)
        await mkdir(realFolder)
        await chmod(realFolder, FOLDER_MODE)
      }
      const real = await this.#real(path)
      const before = await this.#stat(path)
      const newPath = `${real}.leat-${process.pid}`
      const file = await open(newPath, NEW_FILE, 0o600)
      try {
        try {
          await file.writeFile(bytes)
          await file.sync()
        } finally {
          await file.close()
        }
        if (before !== undefined) await copyOwner(newPath, before)
        await chmod(newPath, before === undefined ? mode : before.mode & 0o7777)
        await rename(newPath, real)
      } finally {
        await rm(newPath, { force: true })
      }
    } catch (cause) {
      throw fileFailure('write', path, cause)
    }
  }

  async remove(path: string): Promise<void> {
    // On a read-only file system the removal of what is not there would fail.
    if (!(await this.exists(path))) return
    try {
      await rm(await this.#real(path), { force: true })
    } catch (cause) {
      throw fileFailure('remove', path, cause)
    }
  }

  /** Removes a folder unless it has content. */
  async removeEmpty(path: string): Promise<void> {
    if (!(await this.exists(path))) return
    try {
      await rmdir(await this.#real(path))
    } catch (cause) {
      const code = errorCode(cause)
      // An empty folder on a file system that has become read-only does no harm.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EROFS' && !isAbsent(cause))
        throw fileFailure('remove', path, cause)
    }
  }

  async #stat(path: string) {
    try {
      return await stat(await this.#real(path))
    } catch (cause) {
      if (isAbsent(cause)) return undefined
      throw fileFailure('read', path, cause)
    }
  }

  #real(path: string): Promise<string> {
    return realPath(this.root, path)
  }
}

async function copyOwner(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  try {
    await chown(path, uid, gid)
  } catch (cause) {
    const status = await stat(path)
    if (status.uid !== uid || status.gid !== gid) throw cause
  }
}
