import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketAsUpstream } from '../../../src/object-store/hosted/bucket-as-upstream.ts'
import type { Registry } from '../../../src/ports/registry.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { NEVER } from '../bucket-fixture.ts'
import { APP, hostedObjects } from './hosted-lab.ts'

const OTHER = { registry: 'up.test', name: 'app' }
const NOWHERE = {
  kind: 'manifest',
  digest: digestOf(Buffer.from('in no bucket')),
  repository: APP,
} as const

/** Upstream, which says only that it was asked. */
const UPSTREAM: Registry = {
  sources: () => [],
  tag: async () => assert.fail('upstream is asked for a tag'),
  head: async () => ({ size: 7, mediaType: undefined }),
  tags: async () => ['upstream'],
  referrers: async () => Buffer.from('upstream'),
  isPrivate: async () => true,
  hasCredentials: async () => true,
  freshness: () => ({ tagTtlMs: 1, staleIfErrorMs: 2 }),
}

test('the bucket answers for hosted repositories, and upstream for all others', async (t) => {
  const { objects, source, addManifest } = await hostedObjects(t)
  const isHosted = ({ registry }: { registry: string }): boolean => registry === 'localhost'
  const registry = new BucketAsUpstream({ isHosted, objects, source, next: UPSTREAM })
  const digest = await addManifest('one')
  const want = { kind: 'manifest', digest, repository: APP } as const
  await assert.rejects(registry.tag(APP, 'v1', NEVER), { code: 'absent' })
  await objects.setTag(APP, 'v1', digest, NEVER)
  assert.equal((await registry.tag(APP, 'v1', NEVER)).digest, digest)
  assert.deepEqual(await registry.head(want, NEVER), { size: 3, mediaType: undefined })
  await assert.rejects(registry.head(NOWHERE, NEVER), { code: 'absent' })
  assert.deepEqual(await registry.tags(APP, NEVER), ['v1'])
  await assert.rejects(registry.tags({ ...APP, name: 'team/none' }, NEVER), { code: 'absent' })
  assert.deepEqual(registry.sources(want), [source])
  assert.equal(await registry.isPrivate(APP), false)
  assert.equal(await registry.hasCredentials(APP), false)
  assert.equal(registry.freshness(APP).tagTtlMs, 0)
  await assert.rejects(registry.referrers(APP, digest, NEVER), { code: 'unsupported' })

  assert.deepEqual(registry.sources({ ...want, repository: OTHER }), [])
  assert.equal((await registry.head({ ...want, repository: OTHER }, NEVER)).size, 7)
  assert.deepEqual(await registry.tags(OTHER, NEVER), ['upstream'])
  assert.equal(Buffer.from(await registry.referrers(OTHER, digest, NEVER)).toString(), 'upstream')
  assert.deepEqual([await registry.isPrivate(OTHER), await registry.hasCredentials(OTHER)], [true, true])
  assert.equal(registry.freshness(OTHER).tagTtlMs, 1)
})
