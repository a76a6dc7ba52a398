import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { ManifestAnswer } from '../../ports/resolver.ts'

const SCRATCH_BYTES = 64 * 1024

/** Reads the manifest of an answer, and closes it. */
export async function readManifestBody(
  { body }: Pick<ManifestAnswer, 'body'>,
  options: { signal: AbortSignal },
): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body
  try {
    return await readContent(body, options)
  } finally {
    await body.close()
  }
}

/** Waits until the manifest of an answer is complete and verified, and closes it. */
export async function waitUntilVerified(
  answer: ManifestAnswer,
  options: { signal: AbortSignal },
): Promise<Omit<ManifestAnswer, 'body'>> {
  const { body } = answer
  if (body instanceof Uint8Array) return answer
  try {
    const scratch = new Uint8Array(SCRATCH_BYTES)
    for (let position = 0; position < body.size; ) {
      const readable = await body.readable(position, options)
      const length = await body.read(scratch.subarray(0, readable - position), position)
      if (length === 0) throw new Failure('disk', `The file ended after ${position} of ${body.size} bytes.`)
      position += length
    }
    return answer
  } finally {
    await body.close()
  }
}

/** Reads a content whole, as its bytes come. */
export function readContent(content: Content, options: { signal: AbortSignal }): Promise<Uint8Array> {
  return readAll(async (target, position) => {
    const readable = await content.readable(position, options)
    return content.read(target.subarray(0, readable - position), position)
  }, content.size)
}

/** Reads exactly `size` bytes from the start. */
export async function readAll(
  read: (target: Uint8Array, position: number) => Promise<number>,
  size: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let position = 0
  while (position < size) {
    const length = await read(bytes.subarray(position), position)
    if (length === 0) throw new Failure('disk', `The file ended after ${position} of ${size} bytes.`)
    position += length
  }
  return bytes
}
