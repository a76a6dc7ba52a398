import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, stored, wanted } from '../../conformance/blob-steps.ts'
import { folder, opened } from '../folder.ts'

const FACTS = { mediaType: undefined, origin: 'docker', references: [], subject: undefined }
const REPOSITORY = { registry: 'up.test', name: 'app' }
const BLOB = { kind: 'blob', repository: REPOSITORY, algorithm: 'sha256' } as const

for (const size of [10, 3_000_000]) {
  it(`a content of ${size} bytes and unknown digest is stored under the digest of its bytes`, async (t) => {
    const path = await folder(t)
    const store = await opened(t, { path })
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const bytes = randomBytes(size)
      const incoming = await store.receiver.receive({ ...BLOB, algorithm })
      await feed(incoming, bytes)
      assert.equal(await incoming.commit(FACTS), true)
      await incoming.close()
      const digest = digestOf(bytes, algorithm)
      assert.deepEqual(await stored(store.blobs, digest), bytes)
      assert.deepEqual(await store.repositoriesOf(digest), [REPOSITORY])
    }
    assert.deepEqual(await readdir(new Layout(path).partial), [])
    assert.equal(store.usage().bytes, 2 * size)
  })
}

it('a content that is stored already is stored once, however many bring it at the same time', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(500_000)
  const incoming = await Promise.all([
    store.receiver.receive(BLOB),
    store.receiver.receive(BLOB),
    store.blobs.begin(wanted(digestOf(bytes))),
  ])
  await Promise.all(incoming.map((one) => feed(one, bytes)))
  const open = await store.blobs.open(digestOf(bytes))
  assert.equal(open, undefined)
  assert.deepEqual(await Promise.all(incoming.map((one) => one.commit(FACTS))), [true, true, true])
  await Promise.all(incoming.map((one) => one.close()))
  assert.deepEqual(await stored(store.blobs, digestOf(bytes)), bytes)
  assert.deepEqual([store.usage().blobs, store.usage().bytes], [1, bytes.length])
})

it('what is not committed leaves nothing', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const incoming = await store.receiver.receive(BLOB)
  await feed(incoming, randomBytes(3_000_000))
  await incoming.digest()
  const left = await readdir(new Layout(path).partial)
  assert.equal(left.length, 1)
  await incoming.close()
  assert.deepEqual(await readdir(new Layout(path).partial), [])
})
