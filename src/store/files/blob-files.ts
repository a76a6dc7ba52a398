import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Algorithm, type Digest, parseDigest } from '../../oci/digest.ts'
import {
  FILE_MODE,
  FOLDER_MODE,
  ignore,
  type Layout,
  partialName,
  READ_PLAIN_FILE,
  syncFolder,
} from './layout.ts'
import { OpenFile } from './open-file.ts'

/** A small blob is written under a name with this suffix, and renamed when it is durable. */
const DRAFT_SUFFIX = '.draft'

/** The files of stored blobs. */
export class BlobFiles {
  readonly #layout: Layout
  /** Folders that exist and will exist after a power cut. */
  readonly #durableFolders = new Map<string, Promise<void>>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Opens the file of a blob; undefined when there is none, or a symbolic link has its name. */
  open(digest: Digest): Promise<OpenFile | undefined> {
    return OpenFile.open(this.#layout.blob(digest), READ_PLAIN_FILE).catch(ignore('ENOENT', 'ELOOP'))
  }

  path(digest: Digest): string {
    return this.#layout.blob(digest)
  }

  /** Moves a file whose bytes are durable into the folder of its digest. The new name is durable when the call resolves. */
  async put(digest: Digest, path: string): Promise<void> {
    const folder = this.#layout.blobFolder(digest)
    await this.#makeDurable(folder)
    await rename(path, this.#layout.blob(digest))
    await syncFolder(folder)
  }

  async putBytes(digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = join(this.#layout.partial, partialName(digest) + DRAFT_SUFFIX)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
    try {
      const file = await open(path, flags, FILE_MODE)
      try {
        await file.writeFile(bytes)
        await file.datasync()
      } finally {
        await file.close()
      }
      await this.put(digest, path)
    } catch (error) {
      await unlink(path).catch(() => {})
      throw error
    }
  }

  async remove(digest: Digest): Promise<void> {
    await unlink(this.#layout.blob(digest)).catch(ignore('ENOENT'))
  }

  /** Removes files that a crash during `putBytes` has left. They may be incomplete. */
  async sweepDrafts(): Promise<void> {
    for (const name of await readdir(this.#layout.partial)) {
      const digest = parseDigest(name.slice(0, -DRAFT_SUFFIX.length).replace('-', ':'))
      if (name.endsWith(DRAFT_SUFFIX) && digest !== undefined) await unlink(join(this.#layout.partial, name))
    }
  }

  /** Gives the names of all folders that `list` reads. */
  async folders(algorithm: Algorithm): Promise<string[]> {
    const names = await readdir(join(this.#layout.blobs, algorithm)).catch(ignore('ENOENT', 'ENOTDIR'))
    return (names ?? []).filter((name) => /^[0-9a-f]{2}$/.test(name))
  }

  /** Lists the digests of all files of one folder whose names are digests. The folder's name is `prefix`, two digits. */
  async list(algorithm: Algorithm, prefix: string): Promise<Digest[]> {
    const names = await readdir(join(this.#layout.blobs, algorithm, prefix)).catch(
      ignore('ENOENT', 'ENOTDIR'),
    )
    return (names ?? []).flatMap((name) => {
      const digest = name.startsWith(prefix) ? parseDigest(`${algorithm}:${name}`) : undefined
      return digest ?? []
    })
  }

  #makeDurable(folder: string): Promise<void> {
    let ready = this.#durableFolders.get(folder)
    if (ready === undefined) {
      ready = this.#makeFolder(folder)
      this.#durableFolders.set(folder, ready)
      ready.catch(() => this.#durableFolders.delete(folder))
    }
    return ready
  }

  async #makeFolder(folder: string): Promise<void> {
    const parent = dirname(folder)
    if (parent !== this.#layout.blobs) await this.#makeDurable(parent)
    const made = await mkdir(folder, { mode: FOLDER_MODE }).then(() => true, ignore('EEXIST'))
    if (made) await syncFolder(parent)
  }
}
