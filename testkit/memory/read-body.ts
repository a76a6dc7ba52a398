import { readAll } from '../../src/fetch/manifests/manifest-body.ts'
import type { BlobAnswer } from '../../src/ports/resolver.ts'

const { signal } = new AbortController()

/** All of a blob that was answered with, which is closed then. */
export async function bodyOf({ content }: BlobAnswer): Promise<Buffer> {
  try {
    for (let known = 0; known < content.size; ) known = await content.readable(known, { signal })
    return Buffer.from(await readAll((target, position) => content.read(target, position), content.size))
  } finally {
    await content.close()
  }
}

/** Looks again in each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
