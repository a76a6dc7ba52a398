import type { Digest } from '../../oci/digest.ts'
import type { Failure } from '../../ports/failure.ts'
import { diskFailure } from '../files/layout.ts'
import type { OpenFile } from '../files/open-file.ts'

/** A sync is started after each 32 MiB, so that the sync at the end of a large content has little left to do. */
const SYNC_EVERY_BYTES = 32 * 1024 * 1024

/** The open file of a partial: what of it may be read, and what of it is durable. `PartialWriter` closes it. */
export class PartialFile {
  readonly #file: OpenFile
  readonly #digest: Digest
  #readableBytes = 0
  #syncedBytes = 0
  #isSyncing = false

  constructor(file: OpenFile, digest: Digest) {
    this.#file = file
    this.#digest = digest
  }

  get fd(): number {
    return this.#file.fd
  }

  /** Bytes from the start that were hashed and are in the file. */
  get readableBytes(): number {
    return this.#readableBytes
  }

  /** The file has been written up to `position`. After a cut the thread hashes bytes again that are readable already. */
  grewTo(position: number): void {
    this.#readableBytes = Math.max(this.#readableBytes, position)
  }

  /** The file ends at `position` and takes no more bytes. */
  endsAt(position: number): void {
    this.#readableBytes = position
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.#readableBytes - position)
    try {
      return await this.#file.read(target.subarray(0, length), position)
    } catch (cause) {
      throw diskFailure(`cannot read the partial of ${this.#digest}`, cause)
    }
  }

  async truncate(position: number): Promise<void> {
    await this.#file.truncate(position)
    this.#readableBytes = position
    this.#syncedBytes = Math.min(this.#syncedBytes, position)
  }

  /** Makes what was written durable. */
  sync(): Promise<void> {
    return this.#file.sync()
  }

  /** Starts a sync when much has been written since the last one; the thread has written up to `position`. */
  syncEarly(position: number, onFailure: (failure: Failure) => void): void {
    if (this.#isSyncing || position - this.#syncedBytes < SYNC_EVERY_BYTES) return
    void this.#syncNow(onFailure)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #syncNow(onFailure: (failure: Failure) => void): Promise<void> {
    this.#isSyncing = true
    this.#syncedBytes = this.#readableBytes
    try {
      await this.#file.sync()
    } catch (cause) {
      // The kernel may not report the error again at the next sync, so the content of the file is unknown from now on.
      onFailure(diskFailure(`cannot write the partial of ${this.#digest}`, cause))
    } finally {
      this.#isSyncing = false
    }
  }
}
