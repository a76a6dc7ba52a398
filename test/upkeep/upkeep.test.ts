import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as v from 'valibot'
import { GcLine, PinsReport, RemovalLine, VerifyLine } from '../../src/schemas/upkeep-report.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'
import { MemoryKept } from './memory-kept.ts'

const { signal } = new AbortController()
let kept: MemoryKept
let upkeep: Upkeep

beforeEach(() => {
  kept = new MemoryKept()
  upkeep = new Upkeep(kept, 'docker.io')
})

async function gathered<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

type Done = Extract<RemovalLine, { is: 'done' }>

async function removed(subjects: readonly string[], force = false): Promise<Done> {
  const lines = await gathered(upkeep.remove({ subjects, force, signal }))
  const last = v.parse(RemovalLine, lines.at(-1))
  assert.ok(last.is === 'done')
  return last
}

const ALL = ['app', 'config', 'base', 'own', 'other', 'more']

/** Two images on one base. */
function putTwo(): void {
  for (const name of ['config', 'base', 'own', 'more']) kept.put(name)
  kept.put('app', ['config', 'base', 'own'])
  kept.put('other', ['base', 'more'])
  kept.tagAs('app', 'app')
  kept.tagAs('other', 'other')
}

test('an image that is removed takes along what only it needs', async () => {
  putTwo()
  const done = await removed(['alpine:app'])
  assert.deepEqual(kept.holds(...ALL), ['base', 'other', 'more'])
  assert.deepEqual([...kept.remembered.keys()], ['docker.io/library/alpine:other'])
  assert.deepEqual(done, {
    is: 'done',
    removed: [{ subject: 'alpine:app', digest: digestOf('app'), tags: ['docker.io/library/alpine:app'] }],
    blobs: 3,
    bytes: 'appconfigown'.length,
    keptBlobs: 1,
    keptBytes: 'base'.length,
  })
})

test('two that are removed together take along what they shared', async () => {
  putTwo()
  await removed(['alpine:app', 'alpine:other'])
  assert.deepEqual(kept.holds(...ALL), [])
})

test('what another tag means stays, and only the tag is forgotten', async () => {
  putTwo()
  kept.tagAs('same', 'app')
  const done = await removed(['alpine:app'])
  assert.deepEqual([done.blobs, done.keptBlobs], [0, 4])
  assert.deepEqual(kept.holds(...ALL), ALL)
  assert.ok(!kept.remembered.has('docker.io/library/alpine:app'))
})

test('what a manifest without a tag needs stays', async () => {
  putTwo()
  kept.put('by digest', ['own'])
  await removed(['alpine:app'])
  assert.deepEqual(kept.holds('app', 'config', 'own', 'by digest'), ['own', 'by digest'])
})

test('an image of an index that is removed goes with it, unless it has a tag of its own', async () => {
  putTwo()
  kept.put('index', ['app', 'other'])
  kept.tagAs('index', 'index')
  kept.remembered.delete('docker.io/library/alpine:other')
  await removed(['alpine:index'])
  assert.deepEqual(kept.holds('index', ...ALL), ['app', 'config', 'base', 'own'])
})

test('what is removed by its digest goes whoever needs it, with the tags that mean it', async () => {
  putTwo()
  await removed([digestOf('base')])
  assert.deepEqual(kept.holds(...ALL), ['app', 'config', 'own', 'other', 'more'])
  const done = await removed([digestOf('app').slice(0, 20)])
  assert.deepEqual(done.removed[0]?.tags, ['docker.io/library/alpine:app'])
  assert.deepEqual(kept.holds(...ALL), ['other', 'more'])
})

test('a tag whose manifest has gone is forgotten', async () => {
  kept.tagAs('gone', 'nothing')
  const done = await removed(['alpine:gone'])
  assert.deepEqual([done.blobs, kept.remembered.size], [0, 0])
})

test('what is pinned goes only by force, and is then no longer pinned', async () => {
  putTwo()
  await upkeep.pin(['alpine:app'])
  await assert.rejects(removed(['alpine:other', 'alpine:app']), {
    why: 'conflict',
    message: 'alpine:app is pinned; unpin it first, or give --force',
  })
  await assert.rejects(removed([digestOf('own')], true), { why: 'conflict', message: /which is pinned/ })
  assert.deepEqual(kept.holds(...ALL), ALL)
  await removed(['alpine:app'], true)
  assert.deepEqual(kept.holds(...ALL), ['base', 'other', 'more'])
  assert.equal(kept.pinned.size, 0)
})

test('what a pinned image needs stays when another one that has it goes', async () => {
  putTwo()
  kept.remembered.delete('docker.io/library/alpine:app')
  await upkeep.pin([digestOf('app')])
  await removed(['alpine:other'])
  assert.deepEqual(kept.holds(...ALL), ['app', 'config', 'base', 'own'])
})

test('pins are told with what they changed', async () => {
  putTwo()
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
  assert.deepEqual([...kept.pinned], [digestOf('own')])
})

test('a pin on what has gone can be taken off', async () => {
  kept.pinned.add(digestOf('gone'))
  assert.equal((await upkeep.unpin([digestOf('gone')])).pins[0]?.changed, true)
})

test('one name that is not known, and nothing is changed', async () => {
  putTwo()
  for (const [subject, why] of [
    ['alpine:none', 'unknown'],
    [digestOf('none'), 'unknown'],
    ['NOT AN IMAGE', 'malformed'],
    ['sha256:12', 'malformed'],
    ['sha256:123456', 'malformed'],
    ['', 'malformed'],
    ['alpine@sha256:12', 'malformed'],
  ] as const) {
    await assert.rejects(upkeep.pin(['alpine:app', subject]), { name: 'Refusal', why }, subject)
    await assert.rejects(upkeep.unpin([subject]), { name: 'Refusal', why }, subject)
    await assert.rejects(removed(['alpine:app', subject]), { name: 'Refusal', why }, subject)
  }
  assert.equal(kept.pinned.size, 0)
  assert.deepEqual(kept.holds(...ALL), ALL)
})

test('eviction tells what has gone and what is left', async () => {
  putTwo()
  const before = kept.usage()
  const lines = await gathered(upkeep.gc({ toBytes: 8, signal }))
  for (const line of lines) v.parse(GcLine, line)
  const { blobs, bytes } = kept.usage()
  assert.deepEqual(lines.at(-1), {
    is: 'done',
    blobs: before.blobs - blobs,
    bytes: before.bytes - bytes,
    leftBlobs: blobs,
    leftBytes: bytes,
  })
  assert.ok(bytes <= 8)
})

test('what is rotten is named with the images that it was part of', async () => {
  putTwo()
  kept.put('stray')
  kept.seen.set(digestOf('stray'), [ALPINE])
  kept.rotten.set(digestOf('base'), 'no file').set(digestOf('stray'), digestOf('else'))
  const lines = await gathered(upkeep.verify({ bytesPerSecond: undefined, signal }))
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

test('whoever has read the last line may ask for the next thing at once', async () => {
  putTwo()
  const begun = upkeep.verify({ bytesPerSecond: undefined, signal })
  let line = await begun.next()
  while (line.value.is !== 'done') line = await begun.next()
  const other = upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await other.next()).value.is, 'progress')
  // The end of the one that is over does not end the other.
  await begun.next()
  await assert.rejects(upkeep.gc({ toBytes: 0, signal }).next(), { why: 'conflict' })
  await other.return(undefined)
})

test('one at a time, and another one when it has ended or was left', async () => {
  putTwo()
  const begun = upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await begun.next()).value.is, 'progress')
  for (const other of [
    upkeep.verify({ bytesPerSecond: undefined, signal }),
    upkeep.gc({ toBytes: 0, signal }),
    upkeep.remove({ subjects: ['alpine:app'], force: false, signal }),
  ]) {
    await assert.rejects(other.next(), { why: 'conflict', message: /^a verification is under way already/ })
  }
  await begun.return(undefined)
  await gathered(upkeep.gc({ toBytes: 0, signal }))
})

test('it goes on being told while a step takes long, and ends when it is called off', async () => {
  putTwo()
  const stop = new AbortController()
  kept.onStep = (called) =>
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
  kept.onStep = () => {}
  assert.equal((await gathered(upkeep.gc({ toBytes: 0, signal }))).at(-1)?.is, 'done')
})
