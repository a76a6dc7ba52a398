import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { algorithmOf, type Digest, parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import { diskFailure, ignore } from '../files/layout.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { Quarantine } from '../files/quarantine.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import { HashThread } from './hash-thread.ts'

/** Where stored blobs are, and where they go when they turn out not to be what they were. */
export interface InspectedStore {
  readonly index: BlobIndex
  readonly blobFiles: BlobFiles
  readonly quarantine: Quarantine
  /** Forgets a blob whose file is gone or put aside, and makes that known. */
  dropCorrupt(digest: Digest, found: string): Promise<void>
}

/** What a look at one blob has shown. */
export type InspectionResult =
  | { readonly state: 'right' }
  /** Not here any more, or replaced meanwhile: nothing is wrong with that. */
  | { readonly state: 'gone' }
  /** It was put aside and is no longer in the store. */
  | { readonly state: 'rotten'; readonly found: string }

/** Asked before each piece of so many bytes is read: resolves when it is time, rejects when it never will be. */
export type BeforeRead = (bytes: number) => Promise<void>

/** These say nothing about the blob, but that this machine has run out of something. */
const OUT_OF_RESOURCES = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']

/** Re-hashes stored blobs, one at a time; those that are not what they were are put aside and dropped from the index. */
export class Inspector {
  readonly #store: InspectedStore
  readonly #thread = new HashThread()

  constructor(shelved: InspectedStore) {
    this.#store = shelved
  }

  /** `size` is what the index says. */
  async inspect(digest: Digest, size: number, piece: number, turn: BeforeRead): Promise<InspectionResult> {
    let file: OpenFile | undefined
    try {
      file = await this.#store.blobFiles.open(digest)
    } catch (error) {
      return this.#quarantine(digest, undefined, describeUnreadable(digest, error))
    }
    if (file === undefined) return this.#quarantine(digest, undefined, 'no file')
    try {
      const stats = await file.stat()
      const found = await this.#digestOrProblem(file, stats, digest, size, piece, turn)
      return found === digest ? { state: 'right' } : await this.#quarantine(digest, stats, found)
    } finally {
      await file.close()
    }
  }

  stop(): Promise<void> {
    return this.#thread.stop()
  }

  /** The digest of the file, or what else is to be said of it. */
  async #digestOrProblem(
    file: OpenFile,
    stats: Stats,
    digest: Digest,
    size: number,
    piece: number,
    turn: BeforeRead,
  ): Promise<string> {
    if (!stats.isFile()) return 'not a file'
    if (stats.size !== size) return `${stats.size} bytes instead of ${size}`
    const algorithm = algorithmOf(digest)
    for (let position = 0; ; ) {
      const length = Math.min(piece, size - position)
      await turn(length)
      const isLast = position + length === size
      const answer = await this.#thread.hash({ fd: file.fd, algorithm, position, length, isLast })
      if (answer.is === 'short') return `${answer.size} bytes instead of ${size}`
      if (answer.is === 'failed') {
        const { code, message } = answer
        return describeUnreadable(digest, Object.assign(new Error(message), { code }))
      }
      if (answer.is === 'digest') return parseDigest(`${algorithm}:${answer.hex}`) ?? answer.hex
      position += length
    }
  }

  /** `seen` is the file that was looked at; another may have come in its place since. */
  async #quarantine(digest: Digest, seen: Stats | undefined, found: string): Promise<InspectionResult> {
    const { index, blobFiles, quarantine } = this.#store
    try {
      if ((await index.get(digest)) === undefined) return { state: 'gone' }
      const now = await lstat(blobFiles.path(digest)).catch(ignore('ENOENT'))
      if (seen !== undefined && !isSameFile(seen, now)) return { state: 'gone' }
      if (seen === undefined && found === 'no file' && now?.isFile() === true) return { state: 'gone' }
      await quarantine.moveFile(digest, blobFiles.path(digest)).catch(ignore('ENOENT'))
      await this.#store.dropCorrupt(digest, found)
    } catch (cause) {
      throw diskFailure(`cannot put ${digest} aside, which is not what it was (${found})`, cause)
    }
    return { state: 'rotten', found }
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
