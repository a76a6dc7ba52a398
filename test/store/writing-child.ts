import { createCipheriv, createHash } from 'node:crypto'
import { parseDigest } from '../../src/oci/digest.ts'
import type { Incoming } from '../../src/ports/blob-store.ts'
import { openStore } from '../../src/store/open.ts'

/** More bytes than the program can write before it is killed. */
export const LARGE_BYTES = 32 * 1024 * 1024

/** The same bytes in every process. */
export function blob(name: string, bytes: number): Buffer {
  const key = createHash('sha256').update(name).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

/** How much of the large blob is written between two small ones. */
const STEP_BYTES = 25_600

// As a program, until it is killed: stores small blobs and reports each, while one large blob is being received.
const [, , path, large] = process.argv
if (process.send !== undefined && path !== undefined && large !== undefined) await run(path, large)

async function run(folder: string, wanted: string): Promise<void> {
  const store = await openStore({ path: folder })
  const repository = { registry: 'docker.io', name: 'library/alpine' }
  const digest = parseDigest(wanted)
  if (digest === undefined) throw new Error('the digest of the large blob is needed')
  const incoming = await store.blobs.begin({ digest, kind: 'blob', repository })
  incoming.onProgress(() => process.send?.({ written: incoming.written }))
  const bytesOfLarge = blob('large', LARGE_BYTES)
  for (let n = 0; ; n++) {
    await append(incoming, bytesOfLarge.subarray(n * STEP_BYTES, (n + 1) * STEP_BYTES))
    const bytes = blob(`small ${n}`, 64 + (n % 4) * 64_000)
    const small = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
    if (small === undefined) throw new Error('a hash is a digest')
    const taking = await store.blobs.begin({ digest: small, kind: 'blob', repository })
    // A killed process may have left a partial of this blob.
    await append(taking, bytes.subarray(taking.position))
    await taking.commit({ mediaType: undefined, origin: 'test', references: [], subject: undefined })
    await taking.close()
    process.send?.({ stored: small })
  }
}

async function append(incoming: Incoming, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const room = incoming.buffer()
    const part = bytes.subarray(at, at + room.length)
    room.set(part)
    at += part.length
    if (!incoming.filled(part.length)) await incoming.drained()
  }
}
