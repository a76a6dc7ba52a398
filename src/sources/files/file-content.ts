import { type FileHandle, open } from 'node:fs/promises'
import { releasableBytes } from '../../fetch/flight/bytes/tail-gate.ts'
import { unlessAborted } from '../../lib/async/abort.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import { type FileRange, versionOf } from './file-tree.ts'
import type { FileCheck } from './file-verifier.ts'

/** A content that is served from where it is. Its last bytes are readable only when all of it was hashed. */
export class FileContent implements Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly #file: FileHandle
  readonly #range: FileRange
  readonly #verifier: FileCheck
  #isVerified: boolean

  static async open(
    facts: { readonly digest: Digest; readonly mediaType: string | undefined },
    range: FileRange,
    verifier: FileCheck,
  ): Promise<FileContent> {
    const file = await open(range.path)
    try {
      await checkVersion(file, range)
      return new FileContent(facts, range, verifier, file)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  private constructor(
    { digest, mediaType }: { readonly digest: Digest; readonly mediaType: string | undefined },
    range: FileRange,
    verifier: FileCheck,
    file: FileHandle,
  ) {
    this.digest = digest
    this.size = range.size
    this.mediaType = mediaType
    this.#file = file
    this.#range = range
    this.#verifier = verifier
    this.#isVerified = verifier.known(range, digest) === true
  }

  readable(offset: number, { signal }: { signal: AbortSignal }): number | Promise<number> {
    if (this.#isVerified) return this.size
    const released = releasableBytes(this.size, this.size)
    const verifying = this.#verifier.verify(this.#range, this.digest)
    // Hashing begins with the first byte that is asked for, so that the last ones wait as little as possible.
    verifying.catch(() => {})
    return offset < released ? released : this.#verified(verifying, signal)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.size - position)
    const { bytesRead } = await this.#file.read(target, 0, length, this.#range.start + position)
    return bytesRead
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #verified(verifying: Promise<void>, signal: AbortSignal): Promise<number> {
    await unlessAborted(verifying, signal)
    await checkVersion(this.#file, this.#range)
    this.#isVerified = true
    return this.size
  }
}

/** Between the look at a file and its verification another program may have written it again. */
async function checkVersion(file: FileHandle, { path, version }: FileRange): Promise<void> {
  if (versionOf(await file.stat({ bigint: true })) === version) return
  throw new Failure('unavailable', `${path} was written again while it was being served.`)
}
