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
