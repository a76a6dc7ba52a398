import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { ResilientLevel } from '../../../src/store/database/resilient-level.ts'
import { BlobIndex } from '../../../src/store/index/blob-index.ts'
import { decodePin } from '../../../src/store/index/pin-record.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, wanted } from '../../conformance/blob-steps.ts'
import { all, folder, opened, openStore } from '../folder.ts'
import { keepManifest, listed } from '../stored-blobs.ts'

/** Pins that are set or removed while their content is being stored, each time a little later. */

const ROUNDS = 60

async function entriesOf(t: TestContext): Promise<BlobIndex> {
  const level = new ResilientLevel(await folder(t))
  await level.open()
  addCleanup(t, () => level.close())
  return new BlobIndex(level)
}

function store(entries: BlobIndex, digest: Digest, ...references: Digest[]): Promise<void> {
  const entry = {
    digest,
    size: 10,
    kind: 'manifest',
    mediaType: OCI_MANIFEST,
    storedAt: 1,
    origin: 'x',
  } as const
  return entries.put(entry, { references, subject: undefined, repository: undefined })
}

function pin(entries: BlobIndex, digest: Digest): Promise<void> {
  return entries.pins.pin(digest, undefined, (manifest) => entries.references(manifest))
}

/** Waits for so many turns of the event loop. */
async function later(turns: number, act: () => Promise<void>): Promise<void> {
  for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve))
  await act()
}

function some(): Digest {
  return digestOf(randomBytes(8))
}

const { signal } = new AbortController()

it('a pin set at any moment while its manifest is stored retains all that the manifest references', async (t) => {
  const entries = await entriesOf(t)
  for (let round = 0; round < ROUNDS; round++) {
    const [manifest, layer] = [some(), some()]
    await Promise.all([store(entries, manifest, layer), later(round, () => pin(entries, manifest))])
    assert.deepEqual(await entries.pins.pinsRetaining(layer), [manifest], `after ${round} turns`)
  }
})

it('after a pin was removed at any moment while its manifest is stored, nothing is retained', async (t) => {
  const entries = await entriesOf(t)
  for (let round = 0; round < ROUNDS; round++) {
    const [manifest, layer] = [some(), some()]
    await pin(entries, manifest)
    // Without any pin nothing would be looked up.
    await pin(entries, some())
    await Promise.all([store(entries, manifest, layer), later(round, () => entries.pins.unpin(manifest))])
    assert.deepEqual(await entries.pins.pinsRetaining(layer), [], `after ${round} turns`)
  }
})

it('an image stored at any moment while its pinned index is stored is retained with all that it references', async (t) => {
  const entries = await entriesOf(t)
  for (let round = 0; round < ROUNDS; round++) {
    const [index, image, layer] = [some(), some(), some()]
    await pin(entries, index)
    await Promise.all([store(entries, index, image), later(round, () => store(entries, image, layer))])
    assert.deepEqual(await entries.pins.pinsRetaining(layer), [index], `after ${round} turns`)
  }
})

it('storing content does not change the time of a pin', async (t) => {
  const entries = await entriesOf(t)
  const [index, image] = [some(), some()]
  await pin(entries, index)
  const [before] = await all(entries.pins.list())
  await store(entries, index, image)
  await store(entries, image, some())
  assert.deepEqual(await all(entries.pins.list()), [before])
})

it('a pinned manifest retains all that it references, also what is stored later, until it is unpinned', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const early = await keep(first.blobs, randomBytes(1000))
  const late = randomBytes(2000)
  const image = Buffer.from('{"references":"late"}')
  const index = await keepManifest(first.blobs, early, digestOf(image))
  await first.pin(index)
  await first.pin(index)
  await first.close()

  const store = await opened(t, { path })
  const incoming = await store.blobs.begin(wanted(digestOf(image), 'manifest'))
  await feed(incoming, image)
  await incoming.commit({
    mediaType: OCI_MANIFEST,
    origin: 'x',
    references: [digestOf(late)],
    subject: undefined,
  })
  await incoming.close()
  await keep(store.blobs, late)
  const other = await keep(store.blobs, randomBytes(50))
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [early, digestOf(late), digestOf(image), index].sort())
  assert.deepEqual(
    (await all(store.pins())).map(({ digest }) => digest),
    [index],
  )
  assert.deepEqual([await store.isPinned(index), await store.isPinned(early)], [true, false])
  assert.deepEqual(await store.pinsOf(digestOf(late)), [index])
  assert.deepEqual(await store.pinsOf(other), [])
  assert.equal(await store.remove(digestOf(late)), false)

  await store.unpin(index)
  await store.unpin(index)
  assert.deepEqual(await all(store.pins()), [])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [])
})

it('content that two pins retain stays until both are removed', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const base = await keep(store.blobs, randomBytes(1000))
  const one = await keepManifest(store.blobs, base)
  const two = await keepManifest(store.blobs, base)
  await store.pin(one)
  await store.pin(two)
  await store.unpin(one)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [base, two].sort())
  await store.unpin(two)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [])
})

it('a manifest stored under a pinned index is retained with all that it references', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  for (let round = 0; round < 8; round++) {
    const layer = await keep(store.blobs, randomBytes(10))
    const image = Buffer.from(JSON.stringify({ round, layer }))
    const index = await keepManifest(store.blobs, digestOf(image))
    const incoming = await store.blobs.begin(wanted(digestOf(image), 'manifest'))
    await feed(incoming, image)
    const facts = { mediaType: OCI_MANIFEST, origin: 'x', references: [layer], subject: undefined }
    await Promise.all([incoming.commit(facts), store.pin(index)])
    await incoming.close()
    assert.deepEqual(await store.pinsOf(layer), [index])
  }
})

it('a pin on content that is stored later retains all that the content references, also older blobs', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const layer = await keep(store.blobs, randomBytes(1000))
  const image = await keepManifest(store.blobs, layer)
  const bytes = Buffer.from(JSON.stringify({ image }))
  await store.pin(digestOf(bytes))
  const incoming = await store.blobs.begin(wanted(digestOf(bytes), 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'x', references: [image], subject: undefined })
  await incoming.close()
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [layer, image, digestOf(bytes)].sort())
})

it('a pin belongs to the names by which it was set, also after a restart, and an older entry to its digest', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const image = await keepManifest(first.blobs)
  await first.pin(image, 'r.io/app:1')
  await first.pin(image, 'r.io/app:2')
  await first.pin(image)
  await first.close()
  const store = await opened(t, { path })
  const names = async () => (await all(store.pins())).flatMap((pin) => pin.names)
  assert.deepEqual(await names(), [image, 'r.io/app:1', 'r.io/app:2'])
  await store.unpin(image, 'r.io/app:1')
  await store.unpin(image, 'r.io/none:1')
  assert.deepEqual(await names(), [image, 'r.io/app:2'])
  assert.deepEqual(await store.pinsOf(image), [image])
  await store.unpin(image)
  assert.deepEqual(await names(), [])
  await store.pin(image, 'r.io/app:1')
  await store.unpin(image, 'r.io/app:1')
  assert.equal(await store.isPinned(image), false)
  assert.deepEqual(decodePin('1700000000000'), { at: 1_700_000_000_000, names: [], byDigest: true })
})
