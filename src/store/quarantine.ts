import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { FILE_MODE, type Layout, partialName } from './layout.ts'

/** Whoever sends wrong bytes must not fill the disk with them. */
const FILES = 8
const BYTES = 1024 * 1024 * 1024
const OURS = /^sha(?:256|512)-[0-9a-f]+-(\d+)$/

/** Bytes that were not what their digest says, kept for whoever wants to know what they were: the latest few. */
export class Quarantine {
  readonly #folder: string
  #pruning: Promise<void> = Promise.resolve()

  constructor(layout: Layout) {
    this.#folder = layout.quarantine
  }

  /** Moves the file away from where it is. */
  async move(digest: Digest, path: string): Promise<void> {
    await rename(path, this.#place(digest))
    await this.#prune()
  }

  async keep(digest: Digest, bytes: Uint8Array): Promise<void> {
    await writeFile(this.#place(digest), bytes, { mode: FILE_MODE })
    await this.#prune()
  }

  #place(digest: Digest): string {
    return join(this.#folder, `${partialName(digest)}-${Date.now()}`)
  }

  #prune(): Promise<void> {
    this.#pruning = this.#pruning.then(
      () => this.#pruneNow(),
      () => this.#pruneNow(),
    )
    return this.#pruning
  }

  async #pruneNow(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => OURS.test(name))
    names.sort((one, other) => timeOf(other) - timeOf(one))
    let bytes = 0
    for (const [at, name] of names.entries()) {
      const path = join(this.#folder, name)
      bytes += (await stat(path)).size
      if (at >= FILES || bytes > BYTES) await rm(path, { force: true })
    }
  }
}

function timeOf(name: string): number {
  return Number(OURS.exec(name)?.[1])
}
