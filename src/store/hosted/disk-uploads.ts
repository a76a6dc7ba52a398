import { randomBytes } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { type Algorithm, algorithmOf, type Digest, digestFrom } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { LinkToMake } from '../../ports/hosted/hosted-catalog.ts'
import {
  PUSHED,
  type StoredUpload,
  type UploadContent,
  type UploadStore,
} from '../../ports/hosted/hosted-store.ts'
import { diskFailure, ignore, READ_PLAIN_FILE } from '../files/layout.ts'
import { OpenFile } from '../files/open-file.ts'
import { hashOf } from '../writing/file-adoption.ts'
import type { DiskIncoming } from '../writing/incoming.ts'
import type { StoreParts } from '../writing/store-parts.ts'

/** Uploads as partials, each under a provisional digest. */
export class DiskUploads implements UploadStore {
  readonly #parts: StoreParts
  readonly #receive: (upload: StoredUpload) => Promise<DiskIncoming>

  /** `receive` opens the partial of an upload to add bytes to it. */
  constructor(parts: StoreParts, receive: (upload: StoredUpload) => Promise<DiskIncoming>) {
    this.#parts = parts
    this.#receive = receive
  }

  takeLeft(): readonly StoredUpload[] {
    return [...this.#parts.partials.takeUploads()].map(([digest, repository]) => ({ digest, repository }))
  }

  async create(repository: Repository, algorithm: Algorithm): Promise<StoredUpload> {
    const length = algorithm === 'sha256' ? 32 : 64
    const digest = digestFrom(algorithm, randomBytes(length).toString('hex'))
    try {
      const file = await this.#parts.partials.create({ kind: 'blob', digest, repository }, { isUpload: true })
      await file.close()
    } catch (cause) {
      await this.#parts.partials.remove(digest).catch(() => {})
      throw diskFailure('cannot begin an upload', cause)
    }
    return { digest, repository }
  }

  async state({ digest }: StoredUpload): Promise<{ size: number; modifiedAt: number } | undefined> {
    try {
      const stats = await lstat(this.#parts.partials.dataPath(digest)).catch(ignore('ENOENT', 'ENOTDIR'))
      return stats?.isFile() ? { size: stats.size, modifiedAt: stats.mtimeMs } : undefined
    } catch (cause) {
      throw diskFailure('cannot look at an upload', cause)
    }
  }

  async open(upload: StoredUpload): Promise<UploadContent | undefined> {
    try {
      const incoming = await this.#receive(upload)
      return new DiskUploadContent(upload, incoming, this.#parts)
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return undefined
      throw error
    }
  }

  async remove({ digest }: StoredUpload): Promise<void> {
    await this.#parts.partials.remove(digest).catch((cause: unknown) => {
      throw diskFailure('cannot remove an upload', cause)
    })
  }
}

class DiskUploadContent implements UploadContent {
  readonly incoming: DiskIncoming
  readonly #upload: StoredUpload
  readonly #parts: StoreParts

  constructor(upload: StoredUpload, incoming: DiskIncoming, parts: StoreParts) {
    this.incoming = incoming
    this.#upload = upload
    this.#parts = parts
  }

  async publish(
    digest: Digest,
    link: LinkToMake | undefined,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const { incoming } = this
    const hashed = await incoming.digest()
    const isSameAlgorithm = algorithmOf(hashed) === algorithmOf(digest)
    const found = isSameAlgorithm ? hashed : await this.#hashAgain(digest, signal)
    if (found !== digest) {
      throw new Failure('corrupt', `the bytes of the upload are not ${digest}: their digest is ${found}`, {
        expected: digest,
        found,
      })
    }
    const isStored = await incoming.commit({
      mediaType: undefined,
      origin: PUSHED,
      references: [],
      subject: undefined,
      ...(link === undefined ? {} : { link }),
      ...(isSameAlgorithm ? {} : { digest }),
    })
    if (!isStored) throw incoming.passThroughReason ?? new Failure('disk', `cannot store ${digest}`)
  }

  /** A client may name the digest by another algorithm than the upload was begun with. */
  async #hashAgain(wanted: Digest, signal: AbortSignal): Promise<Digest> {
    const { partials, lanes } = this.#parts
    const file = await OpenFile.open(partials.dataPath(this.#upload.digest), READ_PLAIN_FILE).catch(
      (cause: unknown) => {
        throw diskFailure('cannot read an upload', cause)
      },
    )
    try {
      return await hashOf(file, wanted, this.incoming.position, lanes, signal)
    } finally {
      await file.close()
    }
  }
}
