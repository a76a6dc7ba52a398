import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { bodyOf } from '../../testkit/memory/read-body.ts'
import { alpine, manifestOf, setUpResolver, signal } from './support/resolver.ts'

test('a blob is fetched once and is a hit after that, even if upstream is down', async () => {
  const { registry, resolver, flightsEnded } = setUpResolver()
  const bytes = randomBytes(200_000)
  const digest = registry.add(bytes)
  const first = await resolver.blob(alpine, digest, { signal })
  assert.deepEqual(first.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
  assert.ok((await bodyOf(first)).equals(bytes))
  await flightsEnded()
  registry.failure = new Failure('unavailable', 'upstream is down')
  const second = await resolver.blob(alpine, digest, { signal })
  assert.deepEqual(second.cacheResult, { kind: 'hit' })
  assert.ok((await bodyOf(second)).equals(bytes))
  assert.equal(registry.asked.sources, 1)
})

test('answers that join a flight under way say collapsed', async () => {
  const { registry, resolver } = setUpResolver()
  const digest = registry.add(randomBytes(200_000))
  const answers = await Promise.all([1, 2, 3].map(() => resolver.blob(alpine, digest, { signal })))
  const collapsed = answers.map(({ cacheResult }) => cacheResult.kind === 'miss' && cacheResult.collapsed)
  assert.deepEqual(collapsed.sort(), [false, true, true])
  await Promise.all(answers.map(bodyOf))
  assert.equal(registry.asked.sources, 1)
})

test('a blob is fetched once, however requests and the end of its flight coincide', async () => {
  const { registry, resolver } = setUpResolver()
  const bytes = randomBytes(1_000)
  const digest = registry.add(bytes)
  const pulls: Promise<Buffer>[] = []
  for (let n = 0; n < 200; n++) {
    pulls.push(resolver.blob(alpine, digest, { signal }).then(bodyOf))
    if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  for (const body of await Promise.all(pulls)) assert.ok(body.equals(bytes))
  assert.equal(registry.asked.sources, 1)
})

test('a HEAD for a blob that is not stored fetches nothing', async () => {
  const { registry, resolver, store } = setUpResolver()
  const digest = registry.add(randomBytes(1_234))
  const head = await resolver.blobHead(alpine, digest, { signal })
  assert.equal(head.size, 1_234)
  assert.equal(registry.asked.sources, 0)
  assert.equal(store.stored.size, 0)
})

test('a blob is absent when upstream says so', async () => {
  const { resolver } = setUpResolver()
  const nowhere = digestOf(randomBytes(8))
  await assert.rejects(resolver.blob(alpine, nowhere, { signal }), { code: 'absent' })
  await assert.rejects(resolver.blobHead(alpine, nowhere, { signal }), { code: 'absent' })
})

test('a HEAD for a manifest asks upstream when it is not stored, and nobody when it is', async () => {
  const { registry, resolver, store, catalog } = setUpResolver()
  const bytes = manifestOf([randomBytes(10)])
  const digest = registry.add(bytes, OCI_MANIFEST)
  const head = await resolver.manifestHead(alpine, digest, { signal })
  assert.deepEqual([head.size, head.mediaType], [bytes.length, OCI_MANIFEST])
  assert.equal(head.cacheResult.kind, 'miss')
  assert.equal(registry.asked.sources, 0)
  assert.equal(store.stored.size, 0)
  const stored = store.seed(manifestOf([randomBytes(10)]), { kind: 'manifest', mediaType: OCI_MANIFEST })
  await catalog.rememberKnownName(alpine, stored)
  assert.deepEqual((await resolver.manifestHead(alpine, stored, { signal })).cacheResult, { kind: 'hit' })
  assert.equal(registry.asked.head, 1)
})
