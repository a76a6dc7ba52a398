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

/** Ends the name of a small blob that is on its way to its shelf. */
const DRAFT = '.draft'

/** The files of stored blobs. */
export class BlobFiles {
  readonly #layout: Layout
  /** Folders that are there, and there after a power cut too. */
  readonly #durable = new Map<string, Promise<void>>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** undefined when there is no such file. */
  open(digest: Digest): Promise<OpenFile | undefined> {
    return OpenFile.open(this.#layout.blob(digest), READ_PLAIN_FILE).catch(ignore('ENOENT', 'ELOOP'))
  }

  path(digest: Digest): string {
    return this.#layout.blob(digest)
  }

  /** Takes over a file whose bytes are durable already. Durable under its new name when it resolves. */
  async put(digest: Digest, path: string): Promise<void> {
    const shelf = this.#layout.shelf(digest)
    await this.#ready(shelf)
    await rename(path, this.#layout.blob(digest))
    await syncFolder(shelf)
  }

  async putBytes(digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = join(this.#layout.partial, partialName(digest) + DRAFT)
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

  /** What a crash has left of `putBytes`: worth nothing. */
  async sweepDrafts(): Promise<void> {
    for (const name of await readdir(this.#layout.partial)) {
      const digest = parseDigest(name.slice(0, -DRAFT.length).replace('-', ':'))
      if (name.endsWith(DRAFT) && digest !== undefined) await unlink(join(this.#layout.partial, name))
    }
  }

  /** All files on one shelf that are named as blobs are. */
  async on(algorithm: Algorithm, shelf: string): Promise<Digest[]> {
    const names = await readdir(join(this.#layout.blobs, algorithm, shelf)).catch(ignore('ENOENT', 'ENOTDIR'))
    return (names ?? []).flatMap((name) => {
      const digest = name.startsWith(shelf) ? parseDigest(`${algorithm}:${name}`) : undefined
      return digest ?? []
    })
  }

  #ready(folder: string): Promise<void> {
    let ready = this.#durable.get(folder)
    if (ready === undefined) {
      ready = this.#make(folder)
      this.#durable.set(folder, ready)
      ready.catch(() => this.#durable.delete(folder))
    }
    return ready
  }

  async #make(folder: string): Promise<void> {
    const parent = dirname(folder)
    if (parent !== this.#layout.blobs) await this.#ready(parent)
    const made = await mkdir(folder, { mode: FOLDER_MODE }).then(() => true, ignore('EEXIST'))
    if (made) await syncFolder(parent)
  }
}
