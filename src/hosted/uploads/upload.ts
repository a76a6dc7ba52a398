import { Failure } from '../../ports/failure.ts'
import type { StoredUpload, UploadContent, UploadStore } from '../../ports/hosted/hosted-store.ts'

/** One upload, and its content while that is open. */
export class Upload {
  readonly stored: StoredUpload
  readonly #store: UploadStore
  readonly #openMs: number
  #content: UploadContent | undefined
  #timer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined
  /** A request writes, or the upload is being ended. */
  #isBusy = false
  #isGone = false

  constructor(stored: StoredUpload, store: UploadStore, openMs: number) {
    this.stored = stored
    this.#store = store
    this.#openMs = openMs
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  /** The content stays open although no request writes. */
  get isOpenBetweenRequests(): boolean {
    return !this.#isBusy && this.#content !== undefined
  }

  /** How many bytes are in the file; undefined: the upload is gone. */
  async position(): Promise<number | undefined> {
    if (this.#isGone) return undefined
    // Bytes that are being hashed after a restart are in the file already.
    const size = (await this.#store.state(this.stored))?.size
    return this.#isGone ? undefined : size
  }

  /** When the last byte came; undefined: the upload is gone. */
  async modifiedAt(): Promise<number | undefined> {
    return (await this.#store.state(this.stored))?.modifiedAt
  }

  /** Opens the content for the one who calls, until `release` or `end`. Undefined: the upload is gone. */
  async acquire(): Promise<UploadContent | undefined> {
    this.#occupy()
    try {
      await this.#closing
      this.#content ??= await this.#store.open(this.stored)
      if (this.#content === undefined) this.#isGone = true
      return this.#content
    } finally {
      if (this.#content === undefined) this.#isBusy = false
    }
  }

  /**
   * Writes all bytes into the file, and lets the next request write. The content stays open for a while. Rejects if the bytes
   * cannot be written; the upload goes on with those that are in the file.
   */
  async release(): Promise<void> {
    const incoming = this.#content?.incoming
    try {
      await incoming?.digest()
      if (incoming?.isStorable === false) throw noRoom(incoming)
      if (incoming === undefined) return
      this.#timer = setTimeout(() => void this.closeIfIdle(), this.#openMs).unref()
    } catch (error) {
      await this.#closeContent()
      throw error
    } finally {
      this.#isBusy = false
    }
  }

  async closeIfIdle(): Promise<void> {
    if (this.isOpenBetweenRequests) await this.#closeContent()
  }

  /** Removes the upload. Rejects with `busy` while a request writes. */
  async remove(): Promise<void> {
    this.#occupy()
    await this.end()
  }

  /** Removes the upload, for the one who writes. */
  async end(): Promise<void> {
    this.#isGone = true
    await this.#closeContent()
    await this.#store.remove(this.stored)
  }

  #occupy(): void {
    if (this.#isBusy) throw new Failure('busy', 'another request writes to this upload')
    this.#isBusy = true
    clearTimeout(this.#timer)
  }

  async #closeContent(): Promise<void> {
    clearTimeout(this.#timer)
    const content = this.#content
    this.#content = undefined
    if (content !== undefined) this.#closing = content.incoming.close()
    await this.#closing
  }
}

/** Why an upload cannot be stored now. */
export function noRoom({ passThroughReason }: UploadContent['incoming']): Failure {
  return passThroughReason ?? new Failure('disk', 'the store has no room for the upload')
}
