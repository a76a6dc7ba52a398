import { lstat, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { bytesIn, FILE_MODE, ignore, type Layout, partialName } from './layout.ts'

/** Whoever sends wrong bytes must not fill the disk with them. */
const FILES = 8
const BYTES = 1024 * 1024 * 1024
/** Of what the store may hold. */
const SHARE = 1 / 20
/** Blobs, and what a damaged index left. */
const OURS = /^(?:sha(?:256|512)-[0-9a-f]+|index)-(\d+)$/

/**
 * Bytes that were not what their digest says, kept for whoever wants to know what they were: the latest few, and never
 * more than a small share of what the store may hold.
 */
export class Quarantine {
  readonly #folder: string
  readonly #limitBytes: () => number | undefined
  #pruning: Promise<void> = Promise.resolve()

  constructor(layout: Layout, limitBytes: () => number | undefined = () => undefined) {
    this.#folder = layout.quarantine
    this.#limitBytes = limitBytes
  }

  /** Moves the file away from where it is. */
  async move(digest: Digest, path: string): Promise<void> {
    await rename(path, this.#place(digest))
    await this.prune()
  }

  async keep(digest: Digest, bytes: Uint8Array): Promise<void> {
    await writeFile(this.#place(digest), bytes, { mode: FILE_MODE })
    await this.prune()
  }

  /** Removes the oldest of what is too much. */
  prune(): Promise<void> {
    this.#pruning = this.#pruning.then(
      () => this.#pruneNow(),
      () => this.#pruneNow(),
    )
    return this.#pruning
  }

  #place(digest: Digest): string {
    return join(this.#folder, `${partialName(digest)}-${Date.now()}`)
  }

  async #pruneNow(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => OURS.test(name))
    names.sort((one, other) => timeOf(other) - timeOf(one))
    const most = Math.min(BYTES, (this.#limitBytes() ?? Number.POSITIVE_INFINITY) * SHARE)
    let bytes = 0
    for (const [at, name] of names.entries()) {
      const path = join(this.#folder, name)
      const stats = await lstat(path).catch(ignore('ENOENT'))
      bytes += stats?.isDirectory() ? await bytesIn(path) : (stats?.size ?? 0)
      if (at >= FILES || bytes > most) await rm(path, { recursive: true, force: true })
    }
  }
}

function timeOf(name: string): number {
  return Number(OURS.exec(name)?.[1])
}
