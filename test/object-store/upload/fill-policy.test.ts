import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FillPolicy } from '../../../src/object-store/upload/fill-policy.ts'
import { EARLIER_RUN, RECOVERED } from '../../../src/ports/blob-store.ts'
import { digestOf } from '../../observe/memory-node.ts'

const REPOSITORY = { registry: 'up.test', name: 'app' }

test('what came from upstream is uploaded, and what a crash has left without a source, but nothing of peers and buckets', async () => {
  const store = {
    references: () => Promise.resolve([]),
    pinsOf: () => Promise.resolve([]),
  } as unknown as ConstructorParameters<typeof FillPolicy>[1]
  const policy = new FillPolicy({ bucket: 'images', prefix: '' }, store, () => false)
  const facts = {
    digest: digestOf('x'),
    size: 1,
    kind: 'blob',
    mediaType: undefined,
    storedAt: 0,
    lastUsedAt: 0,
  } as const
  for (const [origin, isWanted] of [
    ['upstream up.test', true],
    ['peer node-3, upstream up.test', true],
    [RECOVERED, true],
    [EARLIER_RUN, true],
    ['peer node-3', false],
    ['object-store s3://images', false],
  ] as const) {
    assert.equal(await policy.isWanted({ ...facts, origin }, REPOSITORY), isWanted, origin)
  }
})
