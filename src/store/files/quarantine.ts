import { lstat, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { FILE_MODE, ignore, type Layout, partialName, sizeOfFolder } from './layout.ts'

/** The quarantine has at most 8 files and 1 GiB: a source that sends wrong bytes must not fill the disk. */
const FILE_LIMIT = 8
const BYTE_LIMIT = 1024 * 1024 * 1024
/** The quarantine has at most a twentieth of what the store may hold. */
const STORE_SHARE = 1 / 20
/** Names of blobs and of damaged indexes, with the time at which they were moved. Other files are not touched. */
const OWN_NAME = /^(?:sha(?:256|512)-[0-9a-f]+|index)-(\d+)$/

export interface QuarantinedFile {
  /** When it was moved, in milliseconds since the epoch. */
  readonly at: number
  readonly path: string
  readonly bytes: number
}

/** The files whose bytes did not match their digest, so that people can find out what they are: only the latest few. */
export class Quarantine {
  readonly #folder: string
  readonly #limitBytes: () => number | undefined
  #pruning: Promise<void> = Promise.resolve()

  constructor(layout: Layout, limitBytes: () => number | undefined = () => undefined) {
    this.#folder = layout.quarantine
    this.#limitBytes = limitBytes
  }

  /** Moves a file into the quarantine. */
  async moveFile(digest: Digest, path: string): Promise<void> {
    await rename(path, this.#pathFor(digest))
    await this.prune()
  }

  /** Writes bytes that have no file into the quarantine. */
  async writeFile(digest: Digest, bytes: Uint8Array): Promise<void> {
    await writeFile(this.#pathFor(digest), bytes, { mode: FILE_MODE })
    await this.prune()
  }

  /** The files of this digest, newest first. */
  async filesOf(digest: Digest): Promise<readonly QuarantinedFile[]> {
    const start = `${partialName(digest)}-`
    const names = (await readdir(this.#folder)).filter(
      (name) => name.startsWith(start) && OWN_NAME.test(name),
    )
    names.sort(newestFirst)
    const files: QuarantinedFile[] = []
    for (const name of names) {
      const path = join(this.#folder, name)
      const stats = await lstat(path).catch(ignore('ENOENT'))
      if (stats !== undefined) files.push({ at: timeOf(name), path, bytes: stats.size })
    }
    return files
  }

  /** Removes the oldest files while there are too many. */
  prune(): Promise<void> {
    this.#pruning = this.#pruning.then(
      () => this.#pruneNow(),
      () => this.#pruneNow(),
    )
    return this.#pruning
  }

  #pathFor(digest: Digest): string {
    return join(this.#folder, `${partialName(digest)}-${Date.now()}`)
  }

  async #pruneNow(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => OWN_NAME.test(name))
    names.sort(newestFirst)
    const most = Math.min(BYTE_LIMIT, (this.#limitBytes() ?? Number.POSITIVE_INFINITY) * STORE_SHARE)
    let bytes = 0
    for (const [at, name] of names.entries()) {
      const path = join(this.#folder, name)
      const stats = await lstat(path).catch(ignore('ENOENT'))
      bytes += stats?.isDirectory() ? await sizeOfFolder(path) : (stats?.size ?? 0)
      if (at >= FILE_LIMIT || bytes > most) await rm(path, { recursive: true, force: true })
    }
  }
}

function newestFirst(one: string, other: string): number {
  return timeOf(other) - timeOf(one)
}

function timeOf(name: string): number {
  return Number(OWN_NAME.exec(name)?.[1])
}
