import { constants } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Want } from '../../ports/source.ts'
import { digestOfPartial, FILE_MODE, FOLDER_MODE, ignore, type Layout } from './layout.ts'
import { OpenFile } from './open-file.ts'

const VERSION = 1
const PartialState = v.object({
  version: v.literal(VERSION),
  kind: v.picklist(['manifest', 'blob']),
  registry: v.string(),
  name: v.string(),
  isProvisional: v.optional(v.literal(false)),
  isUpload: v.optional(v.literal(true)),
})
const READ_AND_WRITE = constants.O_RDWR | constants.O_NOFOLLOW

/** Ends the name of a file that is about to have none. */
const UNNAMED = '.unnamed'

/** A partial whose file is open, to be continued after `size` bytes. */
export interface ResumedPartial {
  readonly file: OpenFile
  readonly size: number
}

/**
 * The partials: a folder each, in which `data` has the bytes received so far, and `state` says what was wanted. No ETag is
 * stored: the digest of the whole shows whether upstream has sent the right rest after a restart.
 */
export class Partials {
  readonly #layout: Layout
  /** Partials of earlier attempts. For all other digests no file needs to be looked for. */
  readonly #resumable = new Set<Digest>()
  /** The uploads that the last run of the agent has left, by provisional digest. */
  readonly #uploads = new Map<Digest, Repository>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  dataPath(digest: Digest): string {
    return join(this.#layout.partialOf(digest), 'data')
  }

  /**
   * `isProvisional`: the content has another digest, so that the partial is of no use after a restart. An upload goes on after
   * a restart all the same: its client knows the provisional digest.
   */
  async create(
    want: Want,
    { isProvisional = false, isUpload = false }: { isProvisional?: boolean; isUpload?: boolean } = {},
  ): Promise<OpenFile> {
    const folder = this.#layout.partialOf(want.digest)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { mode: FOLDER_MODE })
    const { kind, repository } = want
    const state = {
      version: VERSION,
      kind,
      registry: repository.registry,
      name: repository.name,
      isProvisional,
      ...(isUpload ? { isUpload } : {}),
    }
    await writeFile(this.#statePath(want.digest), JSON.stringify(state), { flag: 'wx', mode: FILE_MODE })
    return OpenFile.open(this.dataPath(want.digest), READ_AND_WRITE | constants.O_CREAT | constants.O_EXCL)
  }

  /** Opens the partial of an earlier attempt, if there is one. */
  async resume(digest: Digest): Promise<ResumedPartial | undefined> {
    if (!this.#resumable.delete(digest)) return undefined
    return this.#open(digest, { isUpload: false })
  }

  /** Opens the partial of an upload, which may be empty; undefined when it is gone. */
  openUpload(digest: Digest): Promise<ResumedPartial | undefined> {
    return this.#open(digest, { isUpload: true })
  }

  /** Gives the uploads that the last run of the agent has left; a second call gives none. */
  takeUploads(): ReadonlyMap<Digest, Repository> {
    const uploads = new Map(this.#uploads)
    this.#uploads.clear()
    return uploads
  }

  async #open(digest: Digest, { isUpload }: { isUpload: boolean }): Promise<ResumedPartial | undefined> {
    const file = await OpenFile.open(this.dataPath(digest), READ_AND_WRITE).catch(ignore('ENOENT', 'ELOOP'))
    if (file === undefined) return undefined
    try {
      const stats = await file.stat()
      if (stats.isFile() && (isUpload || stats.size > 0)) return { file, size: stats.size }
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  /** Opens an empty file that nobody else can open, and whose room is free again once it is closed. */
  async openUnnamed(digest: Digest): Promise<OpenFile> {
    const path = `${this.#layout.partialOf(digest)}${UNNAMED}`
    await rm(path, { force: true })
    const file = await OpenFile.open(path, READ_AND_WRITE | constants.O_CREAT | constants.O_EXCL)
    await rm(path)
    return file
  }

  /** The partial may be resumed by a later attempt. */
  keepForLater(digest: Digest): void {
    this.#resumable.add(digest)
  }

  async remove(digest: Digest): Promise<void> {
    this.#resumable.delete(digest)
    await rm(this.#layout.partialOf(digest), { recursive: true, force: true })
  }

  /**
   * Runs at the start. Removes partials that are older than `maxAgeMs`, empty, invalid, or whose content is stored already.
   * An upload may be empty. Returns how many remain.
   */
  async sweep(isStored: (digest: Digest) => Promise<boolean>, maxAgeMs: number): Promise<number> {
    for (const name of await readdir(this.#layout.partial)) {
      if (name.endsWith(UNNAMED)) await rm(join(this.#layout.partial, name), { force: true })
      const digest = digestOfPartial(name)
      if (digest === undefined) continue
      const stats = await lstat(this.dataPath(digest)).catch(ignore('ENOENT', 'ENOTDIR'))
      const isYoung = stats?.isFile() && Date.now() - stats.mtimeMs < maxAgeMs
      const state = isYoung ? await this.#state(digest) : undefined
      if (state?.isUpload) this.#uploads.set(digest, { registry: state.registry, name: state.name })
      else if (state !== undefined && stats?.size !== 0 && !(await isStored(digest)))
        this.#resumable.add(digest)
      else await this.remove(digest)
    }
    return this.#resumable.size + this.#uploads.size
  }

  #statePath(digest: Digest): string {
    return join(this.#layout.partialOf(digest), 'state')
  }

  async #state(digest: Digest): Promise<v.InferOutput<typeof PartialState> | undefined> {
    const text = await readFile(this.#statePath(digest), 'utf8').catch(ignore('ENOENT', 'EISDIR'))
    const parsed = v.safeParse(PartialState, text === undefined ? undefined : parseJson(text))
    return parsed.success ? parsed.output : undefined
  }
}
