import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'

const CHUNK_BYTES = 1024 * 1024

/** The bytes of a content, in one buffer that is filled again for each chunk. Closes the content. */
export async function* contentChunks(content: Content, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, content.size))
    for (let at = 0; at < content.size; ) {
      signal.throwIfAborted()
      const end = await content.readable(at, { signal })
      const length = await content.read(buffer.subarray(0, Math.min(buffer.length, end - at)), at)
      if (length === 0) throw new Failure('unavailable', `${content.digest} has become shorter`)
      yield buffer.subarray(0, length)
      at += length
    }
  } finally {
    await content.close()
  }
}

/** All bytes of a small content. Closes the content. */
export async function contentBytes(content: Content, most: number, signal: AbortSignal): Promise<Uint8Array> {
  if (content.size > most) {
    await content.close()
    throw new Failure(
      'too-large',
      `${content.digest} has ${content.size} bytes; a manifest has at most ${most}`,
    )
  }
  const bytes = new Uint8Array(content.size)
  let at = 0
  for await (const chunk of contentChunks(content, signal)) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
