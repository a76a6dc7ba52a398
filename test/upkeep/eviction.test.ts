import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { GcLine } from '../../src/schemas/upkeep-report.ts'
import { collect, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()
const { signal } = new AbortController()

test('an eviction reports how much it has evicted and how much is left', async () => {
  fixture.putTwoImages()
  const before = fixture.store.usage()
  const lines = await collect(fixture.upkeep.gc({ toBytes: 8, signal }))
  for (const line of lines) v.parse(GcLine, line)
  const { blobs, bytes } = fixture.store.usage()
  assert.deepEqual(lines.at(-1), {
    is: 'done',
    blobs: before.blobs - blobs,
    bytes: before.bytes - bytes,
    leftBlobs: blobs,
    leftBytes: bytes,
  })
  assert.ok(bytes <= 8)
})
