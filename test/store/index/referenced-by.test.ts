import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { it } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, wanted } from '../../conformance/blob-steps.ts'
import { folder, opened, openStore } from '../folder.ts'

const alpine = { registry: 'docker.io', name: 'library/alpine' }
const layer = digestOf(Buffer.from('layer'))
const { signal } = new AbortController()

async function keepManifest(store: Store, ...references: readonly Digest[]): Promise<Digest> {
  const bytes = randomBytes(200)
  const digest = digestOf(bytes)
  const incoming = await store.blobs.begin(wanted(digest, 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'upstream x', references, subject: undefined })
  await incoming.close()
  return digest
}

it('the index of an older agent gets references and known names at its first start', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const manifest = await keepManifest(first, layer)
  await first.close()
  const level = new Level<string, string>(new Layout(path).index)
  await level.open()
  const keys = await level.keys().all()
  const added = keys.filter((key) => key.startsWith('needed'))
  assert.deepEqual(added, ['needed', `needed!${layer}!${manifest}`])
  await level.batch(added.map((key) => ({ type: 'del', key })))
  await level.close()
  const store = await opened(t, { path })
  assert.deepEqual(await store.blobs.referencingManifests(layer, 10), [manifest])
  assert.deepEqual(await store.catalog.filterKnown(alpine, [manifest]), [manifest])
})

it('an evicted manifest has no references and no known names until it is stored again', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const manifest = await keepManifest(store, layer)
  const bytes = randomBytes(100)
  const blob = await keep(store.blobs, bytes)
  for (let n = 0; n < 100; n++)
    await store.catalog.rememberKnownName({ registry: 'r.test', name: `app-${n}` }, blob)
  assert.equal((await store.repositoriesOf(blob)).length, 101)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await store.blobs.referencingManifests(layer, 10), [])
  assert.deepEqual(await store.catalog.filterKnown(alpine, [manifest, blob]), [])
  assert.deepEqual(await store.repositoriesOf(blob), [])
  await keep(store.blobs, bytes)
  assert.deepEqual(await store.repositoriesOf(blob), [alpine])
})

it('a rotted blob keeps its known names', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const blob = await keep(store.blobs, randomBytes(100))
  await rm(new Layout(path).blob(blob))
  assert.equal(await store.blobs.open(blob), undefined)
  assert.deepEqual(await store.repositoriesOf(blob), [alpine])
})
