import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rename, rm, symlink, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Layout } from '../../../src/store/files/layout.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { folder, opened, published } from '../folder.ts'
import { filled } from '../left-files.ts'

it('a blob whose file is deleted while the store is open is dropped, and can be stored again', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(1000)
  const digest = await keep(store.blobs, bytes)
  await rm(new Layout(path).blob(digest))
  const failed = published(t, 'verify.failed')
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(await store.blobs.facts(digest), undefined)
  assert.equal(failed.length, 1)
  assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
  await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
})

it('a truncated file is noticed when it is opened, quarantined, and can be stored again', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(90_000)
  const [digest] = await filled(path, bytes)
  assert.ok(digest)
  await truncate(new Layout(path).blob(digest), 80_000)
  const failed = published(t, 'verify.failed')
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(failed[0]?.sourceKind, 'disk')
  assert.match(failed[0]?.found ?? '', /80000 bytes/)
  assert.equal((await readdir(join(path, 'quarantine'))).length, 1)
  await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
})

it('a symbolic link in place of a blob is not followed', async (t) => {
  const path = await folder(t)
  const bytes = Buffer.from('secret')
  const [digest] = await filled(path, bytes)
  assert.ok(digest)
  const file = new Layout(path).blob(digest)
  await rename(file, join(path, 'elsewhere'))
  await symlink(join(path, 'elsewhere'), file)
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(digest), undefined)
})
