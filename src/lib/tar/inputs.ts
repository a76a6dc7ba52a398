import type { FileHandle } from 'node:fs/promises'
import type { ByteInput } from './tar-reader.ts'

/** An archive in a file. The caller closes the file. */
export function inputFromFile(file: Pick<FileHandle, 'read'>): ByteInput {
  let position = 0
  return {
    async read(target) {
      const { bytesRead } = await file.read(target, 0, target.length, position)
      position += bytesRead
      return bytesRead
    },
    async skip(length) {
      position += length
    },
  }
}

/** An archive that arrives in chunks. */
export function inputFromChunks(chunks: AsyncIterable<Uint8Array>): ByteInput {
  const iterator = chunks[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()

  async function hasBytes(): Promise<boolean> {
    while (rest.length === 0) {
      const { done, value } = await iterator.next()
      if (done === true) return false
      rest = value
    }
    return true
  }

  return {
    async read(target) {
      if (!(await hasBytes())) return 0
      const count = Math.min(target.length, rest.length)
      target.set(rest.subarray(0, count))
      rest = rest.subarray(count)
      return count
    },
    async skip(length) {
      for (let left = length; left > 0 && (await hasBytes()); ) {
        const count = Math.min(left, rest.length)
        rest = rest.subarray(count)
        left -= count
      }
    },
  }
}
