import { createHash } from 'node:crypto'
import type { Digest } from '../../../src/oci/digest.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const SIZES = [0, 100, 65_536, 70_000, 300_000]
const BLOBS = 8
const MANIFESTS = 3

/** A content of the test, which exists in both stores or in none. */
export interface TestContent {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly kind: 'manifest' | 'blob'
  readonly references: readonly Digest[]
}

const blobs: readonly TestContent[] = Array.from({ length: BLOBS }, (_, n) => {
  const bytes = Buffer.alloc(SIZES[n % SIZES.length] ?? 0, createHash('sha256').update(`blob ${n}`).digest())
  const unlike = Buffer.concat([bytes, Buffer.from(`${n}`)])
  return { digest: digestOf(unlike), bytes: unlike, kind: 'blob', references: [] }
})
/** Each manifest references two blobs; the last one references the other manifests, as an index does. */
const manifests: readonly TestContent[] = Array.from({ length: MANIFESTS }, (_, n) => {
  const references =
    n < MANIFESTS - 1
      ? blobs.slice(n * 2, n * 2 + 2).map(({ digest }) => digest)
      : Array.from({ length: n }, (__, other) => digestOf(manifestBytes(other)))
  return { digest: digestOf(manifestBytes(n)), bytes: manifestBytes(n), kind: 'manifest', references }
})
export const contents = [...blobs, ...manifests]

function manifestBytes(n: number): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, number: n }))
}
