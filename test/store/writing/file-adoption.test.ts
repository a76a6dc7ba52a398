import assert from 'node:assert/strict'
import { access, link, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { folder, openStore } from '../folder.ts'

const signal = new AbortController().signal
const repository = { registry: 'docker.io', name: 'library/alpine' }
const bytes = Buffer.alloc(200_000, 'layer')
const digest = digestOf(bytes)

async function startStore(t: TestContext, maxBytes?: number) {
  const root = await folder(t)
  const limit = maxBytes === undefined ? {} : { maxBytes: { bytes: maxBytes } }
  const store = await openStore({ path: join(root, 'data'), ...limit })
  t.after(() => store.close())
  const path = join(root, 'file')
  await writeFile(path, bytes, { mode: 0o666 })
  const adopt = (at = path) =>
    store.adoptFile({ path: at, digest, repository, origin: 'a cache' }, { signal })
  return { root, store, path, adopt }
}

test('a file becomes a stored blob without being copied', async (t) => {
  const { store, path, adopt } = await startStore(t)
  assert.equal(await adopt(), true)
  await assert.rejects(access(path))
  const facts = await store.blobs.facts(digest)
  assert.deepEqual([facts?.size, facts?.kind, facts?.origin], [bytes.length, 'blob', 'a cache'])
  assert.deepEqual(await store.catalog.filterKnown(repository, [digest]), [digest])
  assert.equal(store.usage().bytes, bytes.length)
})

test('a file with another content stays where it is', async (t) => {
  const { store, path, adopt } = await startStore(t)
  await writeFile(path, 'half')
  await assert.rejects(adopt(), { code: 'corrupt' })
  assert.equal(await readFile(path, 'utf8'), 'half')
  assert.equal(await store.blobs.facts(digest), undefined)
})

test('a file with a second name, a link, and one that is gone are not moved', async (t) => {
  const { root, store, path, adopt } = await startStore(t)
  await symlink(path, join(root, 'link'))
  assert.equal(await adopt(join(root, 'link')), false)
  assert.equal(await adopt(join(root, 'gone')), false)
  assert.equal(await adopt(root), false)
  await link(path, join(root, 'second'))
  assert.equal(await adopt(), false)
  await access(path)
  assert.equal(await store.blobs.facts(digest), undefined)
})

test('a file of a blob that is stored already stays, and a store without room says so', async (t) => {
  const { path, adopt } = await startStore(t)
  assert.equal(await adopt(), true)
  await writeFile(path, bytes)
  assert.equal(await adopt(), true)
  await access(path)
  const small = await startStore(t, 100_000)
  await assert.rejects(small.adopt(), { code: 'disk' })
  await access(small.path)
})
