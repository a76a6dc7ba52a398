import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as v from 'valibot'
import { GcLine, PinsReport, RemovalLine, VerifyLine } from '../../src/schemas/upkeep-report.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'
import { MemoryUpkeepStore } from './memory-upkeep-store.ts'

const { signal } = new AbortController()
let store: MemoryUpkeepStore
let upkeep: Upkeep

beforeEach(() => {
  store = new MemoryUpkeepStore()
  upkeep = new Upkeep(store, 'docker.io')
})

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

type Done = Extract<RemovalLine, { is: 'done' }>

async function remove(subjects: readonly string[], force = false): Promise<Done> {
  const lines = await collect(upkeep.remove({ subjects, force, signal }))
  const last = v.parse(RemovalLine, lines.at(-1))
  assert.ok(last.is === 'done')
  return last
}

const ALL = ['app', 'config', 'base', 'own', 'other', 'more']

/** Stores two images that share a base layer. */
function putTwoImages(): void {
  for (const name of ['config', 'base', 'own', 'more']) store.put(name)
  store.put('app', ['config', 'base', 'own'])
  store.put('other', ['base', 'more'])
  store.tagAs('app', 'app')
  store.tagAs('other', 'other')
}

test('removing an image by tag removes the parts that only it needs', async () => {
  putTwoImages()
  const done = await remove(['alpine:app'])
  assert.deepEqual(store.storedOf(...ALL), ['base', 'other', 'more'])
  assert.deepEqual([...store.tagRecords.keys()], ['docker.io/library/alpine:other'])
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
  putTwoImages()
  await remove(['alpine:app', 'alpine:other'])
  assert.deepEqual(store.storedOf(...ALL), [])
})

test('removing one of two tags of an image forgets only the tag', async () => {
  putTwoImages()
  store.tagAs('same', 'app')
  const done = await remove(['alpine:app'])
  assert.deepEqual([done.blobs, done.keptBlobs], [0, 4])
  assert.deepEqual(store.storedOf(...ALL), ALL)
  assert.ok(!store.tagRecords.has('docker.io/library/alpine:app'))
})

test('a removal retains the parts of a manifest without a tag', async () => {
  putTwoImages()
  store.put('by digest', ['own'])
  await remove(['alpine:app'])
  assert.deepEqual(store.storedOf('app', 'config', 'own', 'by digest'), ['own', 'by digest'])
})

test('removing an index removes its images, except one that has its own tag', async () => {
  putTwoImages()
  store.put('index', ['app', 'other'])
  store.tagAs('index', 'index')
  store.tagRecords.delete('docker.io/library/alpine:other')
  await remove(['alpine:index'])
  assert.deepEqual(store.storedOf('index', ...ALL), ['app', 'config', 'base', 'own'])
})

test('content named by its digest is removed even if something needs it, and its tags are forgotten', async () => {
  putTwoImages()
  await remove([digestOf('base')])
  assert.deepEqual(store.storedOf(...ALL), ['app', 'config', 'own', 'other', 'more'])
  const done = await remove([digestOf('app').slice(0, 20)])
  assert.deepEqual(done.removed[0]?.tags, ['docker.io/library/alpine:app'])
  assert.deepEqual(store.storedOf(...ALL), ['other', 'more'])
})

test('a tag whose manifest is no longer stored can be removed', async () => {
  store.tagAs('gone', 'nothing')
  const done = await remove(['alpine:gone'])
  assert.deepEqual([done.blobs, store.tagRecords.size], [0, 0])
})

test('a pinned image is removed only by force, and so is its pin', async () => {
  putTwoImages()
  await upkeep.pin(['alpine:app'])
  await assert.rejects(remove(['alpine:other', 'alpine:app']), {
    code: 'conflict',
    message: 'alpine:app is pinned; unpin it first, or give --force',
  })
  await assert.rejects(remove([digestOf('own')], true), { code: 'conflict', message: /which is pinned/ })
  assert.deepEqual(store.storedOf(...ALL), ALL)
  await remove(['alpine:app'], true)
  assert.deepEqual(store.storedOf(...ALL), ['base', 'other', 'more'])
  assert.equal(store.pinned.size, 0)
})

test('a removal retains the parts of a pinned image', async () => {
  putTwoImages()
  store.tagRecords.delete('docker.io/library/alpine:app')
  await upkeep.pin([digestOf('app')])
  await remove(['alpine:other'])
  assert.deepEqual(store.storedOf(...ALL), ['app', 'config', 'base', 'own'])
})

test('pin and unpin report whether each pin has changed', async () => {
  putTwoImages()
  const pinned = v.parse(PinsReport, await upkeep.pin(['alpine:app', digestOf('own')]))
  assert.deepEqual(
    pinned.pins.map(({ subject, digest, changed }) => [subject, digest, changed]),
    [
      ['alpine:app', digestOf('app'), true],
      [digestOf('own'), digestOf('own'), true],
    ],
  )
  assert.equal((await upkeep.pin(['alpine:app'])).pins[0]?.changed, false)
  assert.equal((await upkeep.unpin(['alpine:app'])).pins[0]?.changed, true)
  assert.equal((await upkeep.unpin(['alpine:app'])).pins[0]?.changed, false)
  assert.deepEqual([...store.pinned], [digestOf('own')])
})

test('content that is pinned but not stored can be unpinned', async () => {
  store.pinned.add(digestOf('gone'))
  assert.equal((await upkeep.unpin([digestOf('gone')])).pins[0]?.changed, true)
})

test('an unknown or malformed name is refused, and nothing is changed', async () => {
  putTwoImages()
  for (const [subject, code] of [
    ['alpine:none', 'unknown'],
    [digestOf('none'), 'unknown'],
    ['NOT AN IMAGE', 'malformed'],
    ['sha256:12', 'malformed'],
    ['sha256:123456', 'malformed'],
    ['', 'malformed'],
    ['alpine@sha256:12', 'malformed'],
  ] as const) {
    await assert.rejects(upkeep.pin(['alpine:app', subject]), { name: 'RequestError', code }, subject)
    await assert.rejects(upkeep.unpin([subject]), { name: 'RequestError', code }, subject)
    await assert.rejects(remove(['alpine:app', subject]), { name: 'RequestError', code }, subject)
  }
  assert.equal(store.pinned.size, 0)
  assert.deepEqual(store.storedOf(...ALL), ALL)
})

test('an eviction reports how much it has evicted and how much is left', async () => {
  putTwoImages()
  const before = store.usage()
  const lines = await collect(upkeep.gc({ toBytes: 8, signal }))
  for (const line of lines) v.parse(GcLine, line)
  const { blobs, bytes } = store.usage()
  assert.deepEqual(lines.at(-1), {
    is: 'done',
    blobs: before.blobs - blobs,
    bytes: before.bytes - bytes,
    leftBlobs: blobs,
    leftBytes: bytes,
  })
  assert.ok(bytes <= 8)
})

test('a rotten blob is reported with the images that it was part of', async () => {
  putTwoImages()
  store.put('stray')
  store.seenIn.set(digestOf('stray'), [ALPINE])
  store.rotten.set(digestOf('base'), 'no file').set(digestOf('stray'), digestOf('else'))
  const lines = await collect(upkeep.verify({ bytesPerSecond: undefined, signal }))
  for (const line of lines) v.parse(VerifyLine, line)
  assert.deepEqual(
    lines.filter(({ is }) => is === 'rotten'),
    [
      {
        is: 'rotten',
        digest: digestOf('base'),
        size: 4,
        found: 'no file',
        partOf: ['docker.io/library/alpine:app', 'docker.io/library/alpine:other'],
      },
      {
        is: 'rotten',
        digest: digestOf('stray'),
        size: 5,
        found: digestOf('else'),
        partOf: ['docker.io/library/alpine'],
      },
    ],
  )
  assert.deepEqual(lines.at(-1), { is: 'done', blobs: 7, bytes: 30, found: 2 })
})

test('the next task can begin as soon as the last line of a task was read', async () => {
  putTwoImages()
  const begun = upkeep.verify({ bytesPerSecond: undefined, signal })
  let line = await begun.next()
  while (line.value.is !== 'done') line = await begun.next()
  const other = upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await other.next()).value.is, 'progress')
  // The end of the first task must not end the second one.
  await begun.next()
  await assert.rejects(upkeep.gc({ toBytes: 0, signal }).next(), { code: 'conflict' })
  await other.return(undefined)
})

test('only one task runs at a time; an abandoned task counts as ended', async () => {
  putTwoImages()
  const begun = upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await begun.next()).value.is, 'progress')
  for (const other of [
    upkeep.verify({ bytesPerSecond: undefined, signal }),
    upkeep.gc({ toBytes: 0, signal }),
    upkeep.remove({ subjects: ['alpine:app'], force: false, signal }),
  ]) {
    await assert.rejects(other.next(), { code: 'conflict', message: /^a verification is already running/ })
  }
  await begun.return(undefined)
  await collect(upkeep.gc({ toBytes: 0, signal }))
})

test('a task reports progress while a step takes long, and ends when it is aborted', async () => {
  putTwoImages()
  const stop = new AbortController()
  store.onStep = (called) =>
    new Promise((_, reject) => {
      called.addEventListener('abort', () => reject(called.reason))
    })
  const lines: string[] = []
  await assert.rejects(async () => {
    for await (const { is } of upkeep.gc({ toBytes: 0, signal: stop.signal })) {
      lines.push(is)
      if (lines.length === 3) stop.abort()
    }
  })
  assert.deepEqual(lines, ['progress', 'progress', 'progress'])
  store.onStep = () => {}
  assert.equal((await collect(upkeep.gc({ toBytes: 0, signal }))).at(-1)?.is, 'done')
})
