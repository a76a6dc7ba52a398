import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { ResilientLevel } from '../../../src/store/database/resilient-level.ts'
import { BlobIndex } from '../../../src/store/index/blob-index.ts'
import { afterwards } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/memory-store.ts'
import { all, folder } from '../folder.ts'

/** Pins that are set or removed while their content is being stored, each time a little later. */

const ROUNDS = 60

async function entriesOf(t: TestContext): Promise<BlobIndex> {
  const level = new ResilientLevel(await folder(t))
  await level.open()
  afterwards(t, () => level.close())
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
  return entries.pins.pin(digest, (manifest) => entries.references(manifest))
}

/** Waits for so many turns of the event loop. */
async function later(turns: number, act: () => Promise<void>): Promise<void> {
  for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve))
  await act()
}

function some(): Digest {
  return digestOf(randomBytes(8))
}

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
