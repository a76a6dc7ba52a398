import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../observe/memory-node.ts'
import { ALL, collect, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()
const { signal } = new AbortController()

test('an unknown or malformed name is refused, and nothing is changed', async () => {
  fixture.putTwoImages()
  for (const [subject, code] of [
    ['alpine:none', 'unknown'],
    [digestOf('none'), 'unknown'],
    ['NOT AN IMAGE', 'malformed'],
    ['sha256:12', 'malformed'],
    ['sha256:123456', 'malformed'],
    ['', 'malformed'],
    ['alpine@sha256:12', 'malformed'],
  ] as const) {
    await assert.rejects(fixture.upkeep.pin(['alpine:app', subject]), { name: 'RequestError', code }, subject)
    await assert.rejects(fixture.upkeep.unpin([subject]), { name: 'RequestError', code }, subject)
    await assert.rejects(
      collect(fixture.upkeep.remove({ subjects: ['alpine:app', subject], force: false, signal })),
      { name: 'RequestError', code },
      subject,
    )
  }
  assert.equal(fixture.store.pinned.size, 0)
  assert.deepEqual(fixture.store.storedOf(...ALL), ALL)
})
