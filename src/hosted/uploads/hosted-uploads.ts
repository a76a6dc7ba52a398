import { type Algorithm, type Digest, hexOf } from '../../oci/digest.ts'
import { isSameRepository, type Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { StoredUpload, UploadContent, UploadStore } from '../../ports/hosted/hosted-store.ts'
import type { UploadState, Uploads, UploadWriter } from '../../ports/hosted.ts'
import { UPLOAD_LIMITS, type UploadLimits } from './limits.ts'
import { Upload } from './upload.ts'
import { RequestWriter } from './upload-writer.ts'

/** A blob that a client has sent. */
export interface UploadedBlob {
  readonly repository: Repository
  readonly digest: Digest
}

/** What becomes of an upload when all its bytes have come. */
export interface UploadOutcome {
  /** Stores the bytes as a blob of the repository. The upload ends, unless the disk has failed. */
  publish(content: UploadContent, blob: UploadedBlob, options: { signal: AbortSignal }): Promise<void>
  /** Does what is left to do before the client is answered. When it fails, the client sends the blob again. */
  afterEnd?(blob: UploadedBlob, options: { signal: AbortSignal }): Promise<void>
}

/** The uploads of all hosted repositories. The id of an upload is the hex of its provisional digest. */
export class HostedUploads implements Uploads {
  readonly #store: UploadStore
  readonly #outcome: UploadOutcome
  readonly #limits: UploadLimits
  readonly #uploads = new Map<string, Upload>()
  /** The repositories of uploads that are being created. */
  readonly #beginning = new Set<{ readonly repository: Repository }>()
  readonly #timer: NodeJS.Timeout

  constructor(store: UploadStore, outcome: UploadOutcome, limits: Partial<UploadLimits> = {}) {
    this.#store = store
    this.#outcome = outcome
    this.#limits = { ...UPLOAD_LIMITS, ...limits }
    for (const stored of store.takeLeft()) this.#add(stored)
    this.#timer = setInterval(() => void this.sweep(), this.#limits.sweepMs).unref()
  }

  /** How many uploads there are. */
  get size(): number {
    return this.#uploads.size
  }

  async begin(repository: Repository, { algorithm }: { algorithm: Algorithm }): Promise<UploadState> {
    this.#refuseTooMany(repository)
    const beginning = { repository }
    this.#beginning.add(beginning)
    try {
      const stored = await this.#store.create(repository, algorithm)
      this.#add(stored)
      return { id: hexOf(stored.digest), position: 0 }
    } finally {
      this.#beginning.delete(beginning)
    }
  }

  async state(repository: Repository, id: string): Promise<UploadState | undefined> {
    const upload = this.#find(repository, id)
    if (upload === undefined) return undefined
    const position = await upload.position()
    if (position !== undefined) return { id, position }
    this.#uploads.delete(id)
    return undefined
  }

  async open(
    repository: Repository,
    id: string,
    { size, signal }: { size: number | undefined; signal: AbortSignal },
  ): Promise<UploadWriter | undefined> {
    signal.throwIfAborted()
    const upload = this.#find(repository, id)
    if (upload === undefined) return undefined
    const content = await upload.acquire()
    if (content === undefined) {
      this.#uploads.delete(id)
      return undefined
    }
    try {
      return await RequestWriter.open(
        {
          finish: (digest) => this.#finish(upload, content, digest, signal),
          release: () => this.#release(upload),
        },
        content,
        { size, stepBytes: this.#limits.stepBytes },
        signal,
      )
    } catch (error) {
      await this.#release(upload).catch(() => {})
      throw error
    }
  }

  async cancel(repository: Repository, id: string): Promise<boolean> {
    const upload = this.#find(repository, id)
    if (upload === undefined || (await upload.position()) === undefined) return false
    await upload.remove()
    this.#uploads.delete(id)
    return true
  }

  /** Removes uploads that have got no byte for too long. */
  async sweep(): Promise<void> {
    for (const [id, upload] of this.#uploads) {
      if (upload.isBusy) continue
      try {
        const modifiedAt = await upload.modifiedAt()
        const isYoung = modifiedAt !== undefined && Date.now() - modifiedAt < this.#limits.idleMs
        if (upload.isBusy || isYoung) continue
        await upload.remove()
        this.#uploads.delete(id)
      } catch {
        // The disk has failed, or a request writes again: the next sweep looks again.
      }
    }
  }

  /** Closes all files that no request uses. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#uploads.values()].map((upload) => upload.closeIfIdle()))
  }

  #add(stored: StoredUpload): void {
    this.#uploads.set(hexOf(stored.digest), new Upload(stored, this.#store, this.#limits.openMs))
  }

  /** An upload exists only in its own repository. */
  #find(repository: Repository, id: string): Upload | undefined {
    const upload = this.#uploads.get(id)
    return upload && isSameRepository(upload.stored.repository, repository) ? upload : undefined
  }

  #refuseTooMany(repository: Repository): void {
    const { inAll, perRepository } = this.#limits
    const all = [...this.#uploads.values()].map(({ stored }) => stored.repository)
    for (const { repository: of } of this.#beginning) all.push(of)
    const own = all.filter((of) => isSameRepository(of, repository)).length
    if (all.length < inAll && own < perRepository) return
    throw new Failure('busy', 'There are too many uploads that have not ended. End or cancel some of them.')
  }

  async #finish(upload: Upload, content: UploadContent, digest: Digest, signal: AbortSignal): Promise<void> {
    const { repository } = upload.stored
    try {
      await this.#outcome.publish(content, { repository, digest }, { signal })
    } catch (error) {
      if (error instanceof Failure && error.code === 'corrupt') await this.#end(upload)
      throw error
    }
    await this.#end(upload)
    await this.#outcome.afterEnd?.({ repository, digest }, { signal })
  }

  async #end(upload: Upload): Promise<void> {
    this.#uploads.delete(hexOf(upload.stored.digest))
    // What stays of the file is removed at the next start: the blob is stored, or known to be wrong.
    await upload.end().catch(() => {})
  }

  async #release(upload: Upload): Promise<void> {
    await upload.release()
    // The next request of an upload comes at once, or not soon.
    const open = [...this.#uploads.values()].filter((one) => one.isOpenBetweenRequests)
    for (const one of open.slice(0, Math.max(0, open.length - this.#limits.openBetweenRequests))) {
      await one.closeIfIdle()
    }
  }
}
