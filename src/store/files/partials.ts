import { constants } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Want } from '../../ports/source.ts'
import { digestOfPartial, FILE_MODE, FOLDER_MODE, ignore, type Layout } from './layout.ts'
import { OpenFile } from './open-file.ts'

const VERSION = 1
const State = v.object({
  version: v.literal(VERSION),
  kind: v.picklist(['manifest', 'blob']),
  registry: v.string(),
  name: v.string(),
})
const READ_AND_WRITE = constants.O_RDWR | constants.O_NOFOLLOW

/**
 * Blobs on their way in that have outgrown memory: `data` is what came so far, `state` says what it is meant to be. No ETag
 * is kept with it: what upstream sends after a restart is held to the digest, which finds a wrong continuation out.
 */
export class Partials {
  readonly #layout: Layout
  /** Left by earlier attempts; everything else need not be looked for on the disk. */
  readonly #left = new Set<Digest>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  data(digest: Digest): string {
    return join(this.#layout.partialOf(digest), 'data')
  }

  async create(want: Want): Promise<OpenFile> {
    const folder = this.#layout.partialOf(want.digest)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { mode: FOLDER_MODE })
    const { kind, repository } = want
    const state = { version: VERSION, kind, registry: repository.registry, name: repository.name }
    await writeFile(this.#state(want.digest), JSON.stringify(state), { flag: 'wx', mode: FILE_MODE })
    return OpenFile.open(this.data(want.digest), READ_AND_WRITE | constants.O_CREAT | constants.O_EXCL)
  }

  /** What an earlier attempt has left, if it has. */
  async resume(digest: Digest): Promise<{ file: OpenFile; size: number } | undefined> {
    if (!this.#left.delete(digest)) return undefined
    const file = await OpenFile.open(this.data(digest), READ_AND_WRITE).catch(ignore('ENOENT', 'ELOOP'))
    if (file === undefined) return undefined
    try {
      const stats = await file.stat()
      if (stats.isFile() && stats.size > 0) return { file, size: stats.size }
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  /** What is there now is the start of a later attempt. */
  leave(digest: Digest): void {
    this.#left.add(digest)
  }

  async remove(digest: Digest): Promise<void> {
    this.#left.delete(digest)
    await rm(this.#layout.partialOf(digest), { recursive: true, force: true })
  }

  /**
   * At the start: keeps what can be gone on with, removes what is older than `maxAgeMs`, what is stored already and what
   * makes no sense. Gives how many are kept.
   */
  async sweep(isStored: (digest: Digest) => Promise<boolean>, maxAgeMs: number): Promise<number> {
    for (const name of await readdir(this.#layout.partial)) {
      const digest = digestOfPartial(name)
      if (digest === undefined) continue
      const stats = await lstat(this.data(digest)).catch(ignore('ENOENT', 'ENOTDIR'))
      const young = stats?.isFile() && stats.size > 0 && Date.now() - stats.mtimeMs < maxAgeMs
      if (young && (await this.#makesSense(digest)) && !(await isStored(digest))) this.#left.add(digest)
      else await this.remove(digest)
    }
    return this.#left.size
  }

  #state(digest: Digest): string {
    return join(this.#layout.partialOf(digest), 'state')
  }

  async #makesSense(digest: Digest): Promise<boolean> {
    const text = await readFile(this.#state(digest), 'utf8').catch(ignore('ENOENT', 'EISDIR'))
    return text !== undefined && v.is(State, parseJson(text))
  }
}
