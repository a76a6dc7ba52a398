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

test('a list that an import has made is given while upstream does not answer, and replaced by its answer', async () => {
  const { catalog, registry, resolver } = setUpResolver()
  await catalog.rememberList(alpine, 'tags', { body: Buffer.from('v1'), checkedAt: 17, importedAt: 17 })
  registry.failure = new Failure('unavailable', 'away')
  assert.deepEqual((await resolver.tags(alpine, { signal })).tags, ['v1'])
  const other = setUpResolver()
  await other.catalog.rememberList(alpine, 'tags', { body: Buffer.from('v1'), checkedAt: 17, importedAt: 17 })
  other.registry.setTag(alpine, 'v2', other.registry.add(Buffer.from('b')))
  assert.deepEqual((await other.resolver.tags(alpine, { signal })).tags, ['v2'])
  assert.equal((await other.catalog.cachedList(alpine, 'tags'))?.importedAt, undefined)
})
