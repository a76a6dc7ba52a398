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
    names.sort((one, other) => timeOf(other) - timeOf(one))
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

function timeOf(name: string): number {
  return Number(OWN_NAME.exec(name)?.[1])
}
