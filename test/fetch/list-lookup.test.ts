import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importedTopic } from '../../src/ports/catalog.ts'
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

test('an imported tag is listed beside those of upstream as long as it is an imported one', async () => {
  const { catalog, registry, resolver } = setUpResolver()
  const digest = digestOf(Buffer.from('imported'))
  const record = { digest, mediaType: undefined, checkedAt: 17, importedAt: 17 }
  await catalog.rememberTag(alpine, 'mine', record)
  await catalog.rememberTag(alpine, 'moved', { digest, mediaType: undefined, checkedAt: 18 })
  const list = { body: Buffer.from('gone\nmine\nmoved'), checkedAt: 17 }
  await catalog.rememberList(alpine, importedTopic('tags'), list)
  registry.failure = new Failure('unavailable', 'away')
  const away = await resolver.tags(alpine, { signal })
  assert.deepEqual(away, { tags: ['mine'], cacheResult: { kind: 'stale-if-error' } })
  const other = setUpResolver()
  await other.catalog.rememberTag(alpine, 'mine', record)
  await other.catalog.rememberList(alpine, importedTopic('tags'), list)
  other.registry.setTag(alpine, 'latest', other.registry.add(Buffer.from('b')))
  assert.deepEqual((await other.resolver.tags(alpine, { signal })).tags, ['latest', 'mine'])
  assert.deepEqual((await other.resolver.tags(alpine, { signal })).cacheResult, { kind: 'hit' })
  assert.deepEqual((await other.resolver.tags(alpine, { signal })).tags, ['latest', 'mine'])
})

test('imported referrers stay beside those of upstream, also of one that knows none or no such image', async () => {
  const subject = digestOf(Buffer.from('subject'))
  const [mine, evicted, theirs] = ['mine', 'evicted', 'theirs'].map((text) => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(Buffer.from(text)),
    size: text.length,
    later: [text],
  }))
  assert.ok(mine && evicted && theirs)
  const indexOf = (...manifests: unknown[]) => Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }))
  const setUp = async () => {
    const parts = setUpResolver()
    await parts.catalog.rememberKnownName(alpine, mine.digest)
    const list = { body: indexOf(mine, evicted), checkedAt: 17 }
    await parts.catalog.rememberList(alpine, importedTopic(`referrers/${subject}`), list)
    const listed = async () => {
      const { index, cacheResult } = await parts.resolver.referrers(alpine, subject, { signal })
      return { manifests: JSON.parse(Buffer.from(index).toString()).manifests, kind: cacheResult.kind }
    }
    return { ...parts, listed }
  }
  const knowsNone = await setUp()
  knowsNone.registry.referrersIndex = indexOf()
  assert.deepEqual(await knowsNone.listed(), { manifests: [mine], kind: 'revalidated' })
  knowsNone.registry.fresh.tagTtlMs = 0
  knowsNone.registry.referrersIndex = indexOf(theirs)
  assert.deepEqual((await knowsNone.listed()).manifests, [theirs, mine])
  knowsNone.registry.failure = new Failure('unavailable', 'away')
  assert.deepEqual(await knowsNone.listed(), { manifests: [theirs, mine], kind: 'stale-if-error' })
  for (const code of ['unavailable', 'absent', 'denied'] as const) {
    const { registry, listed } = await setUp()
    registry.failure = new Failure(code, 'no answer')
    assert.deepEqual(await listed(), { manifests: [mine], kind: 'stale-if-error' }, code)
  }
})
