import { type FileHandle, open } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import type { ReadBytes } from '../../sources/docker/content-writer.ts'
import { type FileRange, versionOf } from '../../sources/files/file-tree.ts'
import type { Located } from './import-source.ts'

/** Reads a content from its first byte to its last, and says how many bytes it has read. */
export class FileReader {
  readonly #located: Located
  readonly #file: FileHandle | undefined
  readonly #onRead: (count: number) => void
  #position = 0

  static async open(located: Located, onRead: (count: number) => void): Promise<FileReader> {
    if (!('path' in located)) return new FileReader(located, undefined, onRead)
    const file = await open(located.path).catch((cause: unknown) => {
      throw unreadable(located, errorCode(cause) ?? String(cause), cause)
    })
    try {
      if (versionOf(await file.stat({ bigint: true })) !== located.version) {
        throw unreadable(located, 'it was written again meanwhile')
      }
    } catch (error) {
      await file.close()
      throw error
    }
    return new FileReader(located, file, onRead)
  }

  private constructor(located: Located, file: FileHandle | undefined, onRead: (count: number) => void) {
    this.#located = located
    this.#file = file
    this.#onRead = onRead
  }

  readonly read: ReadBytes = async (target) => {
    const count = await this.#read(target)
    this.#position += count
    if (count > 0) this.#onRead(count)
    return count
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }

  async #read(target: Uint8Array): Promise<number> {
    const located = this.#located
    if (!('path' in located)) {
      const bytes = located.subarray(this.#position, this.#position + target.length)
      target.set(bytes)
      return bytes.length
    }
    const length = Math.min(target.length, located.size - this.#position)
    if (length === 0 || this.#file === undefined) return 0
    const { bytesRead } = await this.#file.read(target, 0, length, located.start + this.#position)
    if (bytesRead === 0) throw unreadable(located, 'it has become shorter')
    return bytesRead
  }
}

function unreadable({ path, shownAs = path }: FileRange, why: string, cause?: unknown): Failure {
  return new Failure('unavailable', `${shownAs} cannot be read: ${why}.`, { cause })
}
