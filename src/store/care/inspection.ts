import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { FileHasher } from '../../lib/hashing/file-hasher.ts'
import { algorithmOf, type Digest, digestOf, parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import { diskFailure, ignore } from '../files/layout.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { Quarantine } from '../files/quarantine.ts'
import type { BlobIndex } from '../index/blob-index.ts'

/** The parts of the store that an inspection needs. */
export interface InspectedStore {
  readonly index: BlobIndex
  readonly blobFiles: BlobFiles
  readonly quarantine: Quarantine
  /** Drops a blob whose file is missing or in the quarantine, and publishes that. */
  dropCorrupt(digest: Digest, found: string): Promise<void>
}

/** The result for one blob. */
export type InspectionResult =
  | { readonly state: 'intact' }
  /** The blob was removed or replaced meanwhile, so there is no result. */
  | { readonly state: 'gone' }
  /** The file went to the quarantine, and the blob was dropped. */
  | { readonly state: 'rotted'; readonly found: string }

/** Called before each piece is read: resolves when it may be read, rejects when the inspection is to end. */
export type BeforeRead = (bytes: number) => Promise<void>

/** These errors say nothing about the blob: the machine has run out of a resource. */
const OUT_OF_RESOURCES = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']

/** Hashes stored blobs again, one at a time. Rotted blobs go to the quarantine and are dropped from the index. */
export class Inspector {
  readonly #store: InspectedStore
  readonly #hasher = new FileHasher()

  constructor(shelved: InspectedStore) {
    this.#store = shelved
  }

  /** Checks one blob. `size`: the size in the index. `piece`: how many bytes are read at a time. */
  async inspect(
    digest: Digest,
    size: number,
    piece: number,
    beforeRead: BeforeRead,
  ): Promise<InspectionResult> {
    if ((await this.#store.index.get(digest))?.isInline) return this.#inspectInline(digest, beforeRead)
    let file: OpenFile | undefined
    try {
      file = await this.#store.blobFiles.open(digest)
    } catch (error) {
      return this.#quarantine(digest, undefined, describeUnreadable(digest, error))
    }
    if (file === undefined) return this.#quarantine(digest, undefined, 'no file')
    try {
      const stats = await file.stat()
      const found = await this.#digestOrProblem(file, stats, digest, size, piece, beforeRead)
      return found === digest ? { state: 'intact' } : await this.#quarantine(digest, stats, found)
    } finally {
      await file.close()
    }
  }

  stop(): Promise<void> {
    return this.#hasher.stop()
  }

  /** An inline content is small enough to be hashed at once. */
  async #inspectInline(digest: Digest, beforeRead: BeforeRead): Promise<InspectionResult> {
    const { index, quarantine, dropCorrupt } = this.#store
    const bytes = await index.bytes(digest)
    await beforeRead(bytes?.length ?? 0)
    const found = bytes === undefined ? 'no bytes' : digestOf(bytes, algorithmOf(digest))
    if (found === digest) return { state: 'intact' }
    if (!(await index.get(digest))?.isInline) return { state: 'gone' }
    if (bytes !== undefined) await quarantine.writeFile(digest, bytes)
    await dropCorrupt(digest, found)
    return { state: 'rotted', found }
  }

  /** Gives the digest of the file, or a text that says what is wrong with it. */
  async #digestOrProblem(
    file: OpenFile,
    stats: Stats,
    digest: Digest,
    size: number,
    piece: number,
    beforeRead: BeforeRead,
  ): Promise<string> {
    if (!stats.isFile()) return 'not a file'
    if (stats.size !== size) return `${stats.size} bytes instead of ${size}`
    const algorithm = algorithmOf(digest)
    for (let position = 0; ; ) {
      const length = Math.min(piece, size - position)
      await beforeRead(length)
      const isLast = position + length === size
      const request = { fd: file.fd, algorithm, position, length, isFirst: position === 0, isLast }
      const answer = await this.#hasher.hash(request).catch((cause: unknown) => {
        throw diskFailure(`cannot hash ${digest}`, cause)
      })
      if (answer.is === 'short') return `${answer.size} bytes instead of ${size}`
      if (answer.is === 'failed') {
        const { code, message } = answer
        return describeUnreadable(digest, Object.assign(new Error(message), { code }))
      }
      if (answer.is === 'digest') return parseDigest(`${algorithm}:${answer.hex}`) ?? answer.hex
      position += length
    }
  }

  /** `checked`: the file that was checked; another file may have replaced it since. */
  async #quarantine(digest: Digest, checked: Stats | undefined, found: string): Promise<InspectionResult> {
    const { index, blobFiles, quarantine } = this.#store
    try {
      if ((await index.get(digest)) === undefined) return { state: 'gone' }
      const now = await lstat(blobFiles.path(digest)).catch(ignore('ENOENT'))
      if (checked !== undefined && !isSameFile(checked, now)) return { state: 'gone' }
      if (checked === undefined && found === 'no file' && now?.isFile() === true) return { state: 'gone' }
      await quarantine.moveFile(digest, blobFiles.path(digest)).catch(ignore('ENOENT'))
      await this.#store.dropCorrupt(digest, found)
    } catch (cause) {
      throw diskFailure(`cannot quarantine ${digest}, which has rotted (${found})`, cause)
    }
    return { state: 'rotted', found }
  }
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return one.ino === other?.ino && one.dev === other.dev
}

function describeUnreadable(digest: Digest, error: unknown): string {
  if (error instanceof Failure || OUT_OF_RESOURCES.includes(errorCode(error) ?? '')) {
    throw diskFailure(`cannot read ${digest}`, error)
  }
  return `unreadable: ${error instanceof Error ? error.message : String(error)}`
}
