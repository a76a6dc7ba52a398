import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { alpine, setUpResolver, signal } from './support/resolver.ts'

test('a list of tags comes from upstream, and from the catalog within its TTL or while upstream fails', async () => {
  const { registry, resolver } = setUpResolver()
  registry.setTag(alpine, 'b', registry.add(Buffer.from('b')))
  registry.setTag(alpine, 'a', registry.add(Buffer.from('a')))
  assert.deepEqual((await resolver.tags(alpine, { signal })).tags, ['a', 'b'])
  assert.deepEqual((await resolver.tags(alpine, { signal })).cacheResult, { kind: 'hit' })
  registry.fresh.tagTtlMs = 0
  registry.failure = new Failure('unavailable', 'away')
  const stale = await resolver.tags(alpine, { signal })
  assert.deepEqual(stale, { tags: ['a', 'b'], cacheResult: { kind: 'stale-if-error' } })
})

test('a list of tags may be empty', async () => {
  const { resolver } = setUpResolver()
  assert.deepEqual((await resolver.tags(alpine, { signal })).tags, [])
})

test('a list of referrers fails rather than looks empty when upstream fails', async () => {
  const { registry, resolver } = setUpResolver()
  registry.failure = new Failure('unavailable', 'away')
  const subject = digestOf(Buffer.from('subject'))
  await assert.rejects(resolver.referrers(alpine, subject, { signal }), { code: 'unavailable' })
})
