import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { RemovalLine } from '../../src/schemas/upkeep-report.ts'
import { digestOf } from '../observe/memory-node.ts'
import { ALL, collect, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()
const { signal } = new AbortController()

type Done = Extract<RemovalLine, { is: 'done' }>

async function remove(subjects: readonly string[], force = false): Promise<Done> {
  const lines = await collect(fixture.upkeep.remove({ subjects, force, signal }))
  const last = v.parse(RemovalLine, lines.at(-1))
  assert.ok(last.is === 'done')
  return last
}

test('removing an image by tag removes the parts that only it needs', async () => {
  fixture.putTwoImages()
  const done = await remove(['alpine:app'])
  assert.deepEqual(fixture.store.storedOf(...ALL), ['base', 'other', 'more'])
  assert.deepEqual([...fixture.store.tagRecords.keys()], ['docker.io/library/alpine:other'])
  assert.deepEqual(done, {
    is: 'done',
    removed: [{ subject: 'alpine:app', digest: digestOf('app'), tags: ['docker.io/library/alpine:app'] }],
    blobs: 3,
    bytes: 'appconfigown'.length,
    keptBlobs: 1,
    keptBytes: 'base'.length,
  })
})

test('removing two images together removes the parts that they share', async () => {
  fixture.putTwoImages()
  await remove(['alpine:app', 'alpine:other'])
  assert.deepEqual(fixture.store.storedOf(...ALL), [])
})

test('removing one of two tags of an image forgets only the tag', async () => {
  fixture.putTwoImages()
  fixture.store.tagAs('same', 'app')
  const done = await remove(['alpine:app'])
  assert.deepEqual([done.blobs, done.keptBlobs], [0, 4])
  assert.deepEqual(fixture.store.storedOf(...ALL), ALL)
  assert.ok(!fixture.store.tagRecords.has('docker.io/library/alpine:app'))
})

test('a removal retains the parts of a manifest without a tag', async () => {
  fixture.putTwoImages()
  fixture.store.put('by digest', ['own'])
  await remove(['alpine:app'])
  assert.deepEqual(fixture.store.storedOf('app', 'config', 'own', 'by digest'), ['own', 'by digest'])
})

test('removing an index removes its images, except one that has its own tag', async () => {
  fixture.putTwoImages()
  fixture.store.put('index', ['app', 'other'])
  fixture.store.tagAs('index', 'index')
  fixture.store.tagRecords.delete('docker.io/library/alpine:other')
  await remove(['alpine:index'])
  assert.deepEqual(fixture.store.storedOf('index', ...ALL), ['app', 'config', 'base', 'own'])
})

test('content named by its digest is removed even if something needs it, and its tags are forgotten', async () => {
  fixture.putTwoImages()
  await remove([digestOf('base')])
  assert.deepEqual(fixture.store.storedOf(...ALL), ['app', 'config', 'own', 'other', 'more'])
  const done = await remove([digestOf('app').slice(0, 20)])
  assert.deepEqual(done.removed[0]?.tags, ['docker.io/library/alpine:app'])
  assert.deepEqual(fixture.store.storedOf(...ALL), ['other', 'more'])
})

test('a tag whose manifest is no longer stored can be removed', async () => {
  fixture.store.tagAs('gone', 'nothing')
  const done = await remove(['alpine:gone'])
  assert.deepEqual([done.blobs, fixture.store.tagRecords.size], [0, 0])
})

test('a pinned image is removed only by force, and so is its pin', async () => {
  fixture.putTwoImages()
  await fixture.upkeep.pin(['alpine:app'])
  await assert.rejects(remove(['alpine:other', 'alpine:app']), {
    code: 'conflict',
    message: 'alpine:app is pinned; unpin it first, or give --force',
  })
  await assert.rejects(remove([digestOf('own')], true), { code: 'conflict', message: /which is pinned/ })
  assert.deepEqual(fixture.store.storedOf(...ALL), ALL)
  await remove(['alpine:app'], true)
  assert.deepEqual(fixture.store.storedOf(...ALL), ['base', 'other', 'more'])
  assert.equal(fixture.store.pinned.size, 0)
})

test('a removal retains the parts of a pinned image', async () => {
  fixture.putTwoImages()
  fixture.store.tagRecords.delete('docker.io/library/alpine:app')
  await fixture.upkeep.pin([digestOf('app')])
  await remove(['alpine:other'])
  assert.deepEqual(fixture.store.storedOf(...ALL), ['app', 'config', 'base', 'own'])
})

test('what was pushed to a hosted repository is not removed by its digest, also not by force', async () => {
  fixture.putTwoImages()
  fixture.store.hostedIn.set(digestOf('base'), [{ registry: 'localhost', name: 'team/app' }])
  for (const force of [false, true]) {
    await assert.rejects(remove([digestOf('base')], force), {
      code: 'conflict',
      message: /^sha256:\w+ was pushed to localhost\/team\/app: remove its tags/,
    })
  }
  assert.deepEqual(fixture.store.storedOf(...ALL), [...ALL])
  await remove(['alpine:app'])
})
