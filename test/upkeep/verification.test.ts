import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { VerifyLine } from '../../src/schemas/upkeep-report.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'
import { collect, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()
const { signal } = new AbortController()

test('a rotten blob is reported with the images that it was part of', async () => {
  fixture.putTwoImages()
  fixture.store.put('stray')
  fixture.store.seenIn.set(digestOf('stray'), [ALPINE])
  fixture.store.rotten.set(digestOf('base'), 'no file').set(digestOf('stray'), digestOf('else'))
  const lines = await collect(fixture.upkeep.verify({ bytesPerSecond: undefined, signal }))
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
