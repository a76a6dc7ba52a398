import { onAbort } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import type { Digest } from '../../oci/digest.ts'
import type { UploadContent } from '../../ports/hosted/hosted-store.ts'
import type { UploadWriter } from '../../ports/hosted.ts'
import { noRoom } from './upload.ts'

/** The upload to which one request adds bytes. */
interface WrittenUpload {
  /** Makes the bytes a blob, and ends the upload unless the disk has failed. */
  finish(digest: Digest): Promise<void>
  /** Lets the next request write. */
  release(): Promise<void>
}

interface RequestSize {
  /** How many bytes the request has, if it says so. */
  readonly size: number | undefined
  readonly stepBytes: number
}

/** Adds the bytes of one request to an upload, and reserves room for them. */
export class RequestWriter implements UploadWriter {
  readonly #upload: WrittenUpload
  readonly #content: UploadContent
  readonly #size: RequestSize
  /** Rejects when no more bytes can be taken: the store has failed, or the request was aborted. */
  readonly #ended = new Deferred<never>()
  readonly #stopListening: () => void
  #reservedTo: number
  #closing: Promise<void> | undefined
  /** The caller knows of a failure. */
  #hasTold = false

  /** Reserves the room first. Rejects with `disk` if there is none. */
  static async open(
    upload: WrittenUpload,
    content: UploadContent,
    size: RequestSize,
    signal: AbortSignal,
  ): Promise<RequestWriter> {
    const { incoming } = content
    const reservedTo = incoming.position + (size.size ?? size.stepBytes)
    if (!(await incoming.reserve(reservedTo))) throw noRoom(content.incoming)
    signal.throwIfAborted()
    return new RequestWriter(upload, content, size, reservedTo, signal)
  }

  private constructor(
    upload: WrittenUpload,
    content: UploadContent,
    size: RequestSize,
    reservedTo: number,
    signal: AbortSignal,
  ) {
    this.#upload = upload
    this.#content = content
    this.#size = size
    this.#reservedTo = reservedTo
    this.#ended.promise.catch(() => {})
    const { incoming } = content
    incoming.onProgress((failure) => {
      if (failure !== undefined) this.#ended.reject(failure)
      else if (!incoming.isStorable) this.#ended.reject(noRoom(content.incoming))
    })
    this.#stopListening = onAbort(signal, () => this.#ended.reject(signal.reason))
  }

  get position(): number {
    return this.#content.incoming.position
  }

  buffer(): Uint8Array {
    return this.#content.incoming.buffer()
  }

  filled(length: number): boolean {
    const { incoming } = this.#content
    const hasRoom = incoming.filled(length)
    this.#reserveAhead()
    // A content that cannot be stored is not worth receiving: `drained` says why.
    return hasRoom && incoming.isStorable
  }

  drained(): Promise<void> {
    return this.#telling(async () => {
      const { incoming } = this.#content
      if (!incoming.isStorable) throw noRoom(incoming)
      await Promise.race([incoming.drained(), this.#ended.promise])
      if (!incoming.isStorable) throw noRoom(incoming)
    })
  }

  finish(digest: Digest): Promise<void> {
    return this.#telling(() => this.#upload.finish(digest))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #reserveAhead(): void {
    const { size, stepBytes } = this.#size
    const ahead = size === undefined ? stepBytes / 2 : 0
    if (this.position + ahead <= this.#reservedTo) return
    this.#reservedTo = this.position + stepBytes
    void this.#content.incoming.reserve(this.#reservedTo)
  }

  async #close(): Promise<void> {
    this.#stopListening()
    this.#content.incoming.onProgress(() => {})
    try {
      await this.#upload.release()
    } catch (error) {
      if (!this.#hasTold) throw error
    }
  }

  async #telling(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#hasTold = true
      throw error
    }
  }
}
