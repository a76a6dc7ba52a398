import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { PinsReport } from '../../src/schemas/upkeep-report.ts'
import { digestOf } from '../observe/memory-node.ts'
import { UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()

test('pin and unpin report whether each pin has changed', async () => {
  fixture.putTwoImages()
  const pinned = v.parse(PinsReport, await fixture.upkeep.pin(['alpine:app', digestOf('own')]))
  assert.deepEqual(
    pinned.pins.map(({ subject, digest, changed }) => [subject, digest, changed]),
    [
      ['alpine:app', digestOf('app'), true],
      [digestOf('own'), digestOf('own'), true],
    ],
  )
  assert.equal((await fixture.upkeep.pin(['alpine:app'])).pins[0]?.changed, false)
  assert.equal((await fixture.upkeep.unpin(['alpine:app'])).pins[0]?.changed, true)
  assert.equal((await fixture.upkeep.unpin(['alpine:app'])).pins[0]?.changed, false)
  assert.deepEqual([...fixture.store.pinned], [digestOf('own')])
})

test('content that is pinned but not stored can be unpinned', async () => {
  fixture.store.pinned.add(digestOf('gone'))
  assert.equal((await fixture.upkeep.unpin([digestOf('gone')])).pins[0]?.changed, true)
})

test('a pin belongs to the tag by which it was set, and stays when another tag is unpinned', async () => {
  const store = new UpkeepFixture()
  store.putTwoImages()
  const app = digestOf('app')
  store.store.tagAs('same', 'app')
  await store.upkeep.pin(['alpine:app', 'alpine:same'])
  const [same] = (await store.upkeep.unpin(['alpine:same'])).pins
  assert.deepEqual(same, {
    subject: 'alpine:same',
    digest: app,
    changed: true,
    pinnedBy: ['docker.io/library/alpine:app'],
  })
  assert.ok(store.store.pinned.has(app))
  assert.equal((await store.upkeep.unpin(['alpine:same'])).pins[0]?.changed, false)
  // A digest ends all its pins.
  await store.upkeep.unpin([app])
  assert.ok(!store.store.pinned.has(app))
})

test('a tag ends its pin on the digest from which it has moved', async () => {
  const store = new UpkeepFixture()
  store.putTwoImages()
  await store.upkeep.pin(['alpine:app'])
  store.store.tagAs('app', 'own')
  await store.upkeep.unpin(['alpine:app'])
  assert.ok(!store.store.pinned.has(digestOf('app')))
})
