import { readAll } from '../../src/fetch/manifests/manifest-body.ts'
import type { BlobAnswer } from '../../src/ports/resolver.ts'

const { signal } = new AbortController()

/** Reads the blob of an answer, and closes it. */
export async function bodyOf({ content }: BlobAnswer): Promise<Buffer> {
  try {
    for (let known = 0; known < content.size; ) known = await content.readable(known, { signal })
    return Buffer.from(await readAll((target, position) => content.read(target, position), content.size))
  } finally {
    await content.close()
  }
}

/** Resolves when the condition holds. It is checked in each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
