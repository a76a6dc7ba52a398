import assert from 'node:assert/strict'
import type { Digest } from '../../src/oci/digest.ts'
import type { BlobStore, Incoming } from '../../src/ports/blob-store.ts'
import type { Content } from '../../src/ports/content.ts'
import type { Want } from '../../src/ports/source.ts'
import { digestOf } from '../../testkit/memory/digests.ts'

const repository = { registry: 'docker.io', name: 'library/alpine' }
/** The facts of a blob that is committed. */
export const FACTS = {
  mediaType: 'application/octet-stream',
  origin: 'upstream x',
  references: [],
  subject: undefined,
}

export const MEMORY_BYTES = 1024 * 1024
export const LIMIT_BYTES = 200_000

/** Opens an empty store, with this much memory for windows and this disk budget. */
export type OpenStore = (options?: {
  readonly memoryBytes: number
  readonly limitBytes: number
}) => Promise<{ readonly store: BlobStore; readonly close: () => Promise<void> }>

export function wanted(digest: Digest, kind: Want['kind'] = 'blob'): Want {
  return { digest, kind, repository }
}

/** Feeds bytes as a socket does: at most `most` at a time into the memory that `buffer` lends, and waits when told so. */
export async function feed(incoming: Incoming, bytes: Uint8Array, most = 65536): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const room = incoming.buffer()
    assert.ok(room.length > 0, 'a buffer is never empty')
    const part = bytes.subarray(at, at + Math.min(room.length, most))
    room.set(part)
    at += part.length
    if (!incoming.filled(part.length)) {
      assert.ok(incoming.buffer().length > 0, 'a buffer is never empty, not even when full')
      await incoming.drained()
    }
  }
}

/** Reads a content from its first byte to its last one. */
export async function readContent(content: Content): Promise<Buffer> {
  const { signal } = new AbortController()
  const bytes = Buffer.alloc(content.size)
  for (let at = 0; at < bytes.length; ) {
    assert.ok((await content.readable(at, { signal })) > at)
    const count = await content.read(bytes.subarray(at), at)
    assert.ok(count > 0)
    at += count
  }
  return bytes
}

/** Reads a stored blob; undefined when it is not stored. */
export async function stored(store: BlobStore, digest: Digest): Promise<Buffer | undefined> {
  const content = await store.open(digest)
  if (content === undefined) return undefined
  try {
    return await readContent(content)
  } finally {
    await content.close()
  }
}

/** Stores a blob. */
export async function keep(
  store: BlobStore,
  bytes: Uint8Array,
  kind: Want['kind'] = 'blob',
): Promise<Digest> {
  const digest = digestOf(bytes)
  const incoming = await store.begin(wanted(digest, kind))
  try {
    await feed(incoming, bytes)
    assert.equal(await incoming.digest(), digest)
    await incoming.commit(FACTS)
  } finally {
    await incoming.close()
  }
  return digest
}

/** Resolves when `written` has reached `position`. */
export function writtenTo(incoming: Incoming, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (failure: Error | undefined): void => {
      if (failure !== undefined) reject(failure)
      else if (incoming.written >= position) resolve()
    }
    incoming.onProgress(look)
    look(undefined)
  })
}

/** Reads bytes as they come, discards them, and gives them all. */
export async function passOn(incoming: Incoming, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    await writtenTo(incoming, at + 1)
    const count = await incoming.read(bytes.subarray(at, Math.min(size, at + 50_000)), at)
    assert.ok(count > 0)
    at += count
    incoming.discardBefore(at)
  }
  return bytes
}

/** Feeds bytes until it is told to wait. Gives how many that were. */
export function fillUp(incoming: Incoming, bytes: Uint8Array): number {
  const { position } = incoming
  for (;;) {
    const room = incoming.buffer()
    const part = bytes.subarray(incoming.position, incoming.position + room.length)
    assert.ok(part.length > 0, 'the window has no end')
    room.set(part)
    if (!incoming.filled(part.length)) return incoming.position - position
  }
}
