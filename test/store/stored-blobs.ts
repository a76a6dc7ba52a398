import { randomBytes } from 'node:crypto'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { feed, keep, wanted } from '../conformance/blob-steps.ts'
import { all } from './folder.ts'

/** Stores a manifest that references these blobs. */
export async function keepManifest(store: BlobStore, ...references: Digest[]): Promise<Digest> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, references, salt: Math.random() }))
  const digest = digestOf(bytes)
  const incoming = await store.begin(wanted(digest, 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'x', references, subject: undefined })
  await incoming.close()
  return digest
}

/** Waits for the next millisecond: two uses in the same millisecond have no order. */
export async function tick(): Promise<void> {
  const now = Date.now()
  while (Date.now() === now) await new Promise((resolve) => setImmediate(resolve))
}

/** The digests of all stored blobs, in the order of their names. */
export async function listed(store: Store): Promise<Digest[]> {
  return (await all(store.list())).map(({ digest }) => digest)
}

/** Stores blobs of these sizes, each later than the one before it. */
export async function keepInTurn(store: Store, ...sizes: number[]): Promise<Digest[]> {
  const digests: Digest[] = []
  for (const size of sizes) {
    await tick()
    digests.push(await keep(store.blobs, randomBytes(size)))
  }
  return digests
}
