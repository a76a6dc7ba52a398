import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Digest, hexOf } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { ResilientLevel } from '../../../src/store/database/resilient-level.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { all, folder, opened, published } from '../folder.ts'

const { signal } = new AbortController()
const APP: Repository = { registry: 'localhost', name: 'team/app' }
const LIMIT = { bytes: 1_000_000 }

async function putManifest(store: Store, bytes: Uint8Array, tags: readonly string[] = []): Promise<Digest> {
  const digest = digestOf(bytes)
  const facts = { mediaType: OCI_MANIFEST, references: [], subject: undefined }
  await store.hosted.putManifest({ bytes, digest, repository: APP, tags, ...facts })
  return digest
}

function fileOf(path: string, digest: Digest): string {
  return join(path, 'blobs', 'sha256', hexOf(digest).slice(0, 2), hexOf(digest))
}

test('a small pushed manifest has no file, counts as stored, and is there after a restart', async (t) => {
  const path = await folder(t)
  const first = await opened(t, { path, maxBytes: LIMIT })
  const [small, large] = [randomBytes(64 * 1024), randomBytes(64 * 1024 + 1)]
  const digests = [await putManifest(first, small, ['small']), await putManifest(first, large, ['large'])]
  assert.deepEqual(
    digests.map((digest) => existsSync(fileOf(path, digest))),
    [false, true],
  )
  const usage = { bytes: small.length + large.length, blobs: 2 }
  assert.deepEqual([first.usage(), first.hostedUsage()], [usage, usage])
  await first.close()
  const lost = published(t, 'hosted.lost')
  const store = await opened(t, { path, maxBytes: LIMIT })
  assert.deepEqual([store.usage(), store.hostedUsage(), lost], [usage, usage, []])
  await store.gc({ toBytes: 0, signal })
  for (const [at, bytes] of [small, large].entries())
    assert.deepEqual(await stored(store.blobs, digests[at] ?? assert.fail()), bytes)
  assert.deepEqual(
    (await all(store.verify({ signal, bytesPerSecond: undefined }))).map(({ ok }) => ok),
    [true, true],
  )
})

test('a small manifest without a link is evicted, with its bytes', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path, maxBytes: LIMIT })
  const digest = await putManifest(store, randomBytes(1000))
  assert.deepEqual(await store.gc({ toBytes: 0, signal }), { blobs: 0, bytes: 0 })
  await store.hosted.catalog.removeLink(APP, digest)
  const content = await store.blobs.open(digest)
  await content?.close()
  assert.deepEqual(await store.gc({ toBytes: 0, signal }), { blobs: 1, bytes: 1000 })
  assert.equal(await store.blobs.open(digest), undefined)
  await store.close()
  const database = new ResilientLevel(join(path, 'index'))
  await database.open()
  assert.deepEqual(await database.keys({ gte: 'bytes!', lt: 'bytes"' }).all(), [])
  await database.close()
})

test('a small manifest that has rotted goes to the quarantine, and is whole once it is pushed again', async (t) => {
  const path = await folder(t)
  const first = await opened(t, { path })
  const bytes = [randomBytes(1000), randomBytes(1000), randomBytes(1000)]
  const digests: Digest[] = []
  for (const each of bytes) digests.push(await putManifest(first, each))
  const [rotted = assert.fail(), gone = assert.fail(), intact = assert.fail()] = digests
  await first.close()
  const database = new ResilientLevel(join(path, 'index'))
  await database.open()
  const wrong = randomBytes(1000)
  await database
    .batch()
    .put<string, Uint8Array>(`bytes!${rotted}`, wrong, { valueEncoding: 'view' })
    .del(`bytes!${gone}`)
    .write()
  await database.close()
  const lost = published(t, 'hosted.lost')
  const store = await opened(t, { path })
  const results = new Map<Digest, unknown>()
  for await (const { digest, found } of store.verify({ signal, bytesPerSecond: undefined }))
    results.set(digest, found)
  assert.deepEqual(
    [results.get(rotted), results.get(gone), results.get(intact)],
    [digestOf(wrong), 'no bytes', undefined],
  )
  assert.deepEqual(new Set(lost.map(({ digest }) => digest)), new Set([rotted, gone]))
  assert.equal((await readdir(join(path, 'quarantine'))).length, 1)
  assert.equal(await store.blobs.open(rotted), undefined)
  for (const [at, digest] of digests.entries()) {
    await putManifest(store, bytes[at] ?? assert.fail())
    assert.deepEqual(await stored(store.blobs, digest), bytes[at])
  }
})

test('bytes that are missing when a manifest is opened make it absent', async (t) => {
  const path = await folder(t)
  const first = await opened(t, { path })
  const digest = await putManifest(first, randomBytes(1000))
  await first.close()
  const database = new ResilientLevel(join(path, 'index'))
  await database.open()
  await database.del(`bytes!${digest}`)
  await database.close()
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(await store.blobs.facts(digest), undefined)
})

test('a pulled manifest that is pushed does not need its file, and a pushed one that is imported is a file', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const pulled = randomBytes(1000)
  const digest = await keep(store.blobs, pulled, 'manifest')
  const facts = await store.blobs.facts(digest)
  await putManifest(store, pulled)
  await rm(fileOf(path, digest))
  assert.deepEqual(await stored(store.blobs, digest), pulled)
  assert.equal((await store.blobs.facts(digest))?.origin, facts?.origin)
  assert.equal(store.usage().blobs, 1)

  const pushed = randomBytes(1000)
  const small = await putManifest(store, pushed)
  const file = join(await folder(t, path), 'file')
  await writeFile(file, pushed)
  const repository = { registry: 'docker.io', name: 'library/x' }
  assert.equal(
    await store.adoptFile({ path: file, digest: small, repository, origin: 'a cache' }, { signal }),
    true,
  )
  assert.equal(existsSync(fileOf(path, small)), true)
  assert.deepEqual(await stored(store.blobs, small), pushed)
  assert.ok(await store.hosted.catalog.link(APP, small))
})
