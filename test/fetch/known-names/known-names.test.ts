import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { Clock } from '../../../testkit/clock.ts'
import { bodyOf, until } from '../../../testkit/memory/read-body.ts'
import { alpine, setUpResolver, signal } from '../support/resolver.ts'

const mine: Repository = { registry: 'private.test', name: 'mine' }
const other: Repository = alpine
const AWAY = new Failure('unavailable', 'upstream is away')

async function stored() {
  const parts = setUpResolver()
  const bytes = randomBytes(100_000)
  const digest = parts.registry.add(bytes)
  parts.registry.keepIn(mine, digest)
  await parts.pull(mine, digest)
  return { ...parts, bytes, digest }
}

function underWay() {
  const parts = setUpResolver()
  const bytes = randomBytes(200_000)
  const digest = parts.registry.add(bytes)
  parts.registry.keepIn(mine, digest)
  parts.store.pauseWrites()
  return { ...parts, bytes, digest }
}

test('a stored blob is absent under a name that upstream does not have, and is closed again', async () => {
  const { resolver, registry, store, digest } = await stored()
  for (let times = 0; times < 5; times++) {
    await assert.rejects(resolver.blob(other, digest, { signal }), { code: 'absent' })
    await assert.rejects(resolver.blobHead(other, digest, { signal }), { code: 'absent' })
  }
  assert.equal(registry.asked.head, 1, 'the answer is remembered for a while')
  assert.equal(registry.asked.sources, 1)
  assert.equal(store.openContents, 0)
  assert.equal((await resolver.blob(mine, digest, { signal })).cacheResult.kind, 'hit')
})

test('a stored blob is served under another name once upstream has said yes, and upstream is asked once', async () => {
  const { resolver, registry, catalog, restart, bytes } = await stored()
  const digest = registry.add(bytes)
  registry.keepIn(other, digest)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => resolver.blob(other, digest, { signal })),
  )
  for (const answer of answers) assert.ok((await bodyOf(answer)).equals(bytes))
  assert.equal((await resolver.blobHead(other, digest, { signal })).size, bytes.length)
  assert.deepEqual([registry.asked.head, registry.asked.sources], [1, 1])
  assert.deepEqual(await catalog.filterKnown(other, [digest]), [digest])
  const again = restart()
  again.registry.failure = AWAY
  assert.ok((await bodyOf(await again.resolver.blob(other, digest, { signal }))).equals(bytes))
})

for (const code of ['unavailable', 'busy', 'stalled'] as const) {
  test(`a stored blob is not served under another name when upstream is ${code}`, async () => {
    const { resolver, registry, digest, bytes } = await stored()
    registry.failure = new Failure(code, 'upstream is away')
    await assert.rejects(resolver.blob(other, digest, { signal }), { code })
    await assert.rejects(resolver.blobHead(other, digest, { signal }), { code })
    assert.ok((await bodyOf(await resolver.blob(mine, digest, { signal }))).equals(bytes))
    registry.failure = undefined
    registry.keepIn(other, digest)
    assert.ok((await bodyOf(await resolver.blob(other, digest, { signal }))).equals(bytes))
  })
}

test('a stored blob is not served under another name when upstream does not answer, and a client can leave meanwhile', async (t) => {
  const { resolver, registry, digest } = await stored()
  const clock = new Clock(t)
  registry.answersAfter = new Promise(() => {})
  const leaving = new AbortController()
  const left = resolver.blob(other, digest, { signal: leaving.signal })
  const stayed = resolver.blob(other, digest, { signal })
  await until(() => registry.asked.head === 1)
  leaving.abort(new Error('gone'))
  await assert.rejects(left, { message: 'gone' })
  await clock.until(assert.rejects(stayed, { code: 'stalled' }))
})

test('a stored blob is not served under a name for which upstream says another size', async () => {
  const { resolver, registry, digest } = await stored()
  registry.keepIn(other, digest)
  registry.head = async () => ({ size: 1, mediaType: undefined })
  await assert.rejects(resolver.blob(other, digest, { signal }), { code: 'absent' })
})

test('a blob that the store has dropped has no known name any more', async () => {
  const { resolver, registry, store, catalog, digest, flightsEnded } = await stored()
  store.stored.delete(digest)
  catalog.knownIn.clear()
  resolver.forget(digest)
  registry.keepIn(other, digest)
  await bodyOf(await resolver.blob(other, digest, { signal }))
  await flightsEnded()
  await assert.rejects(resolver.blob(mine, digest, { signal }), { code: 'absent' })
})

test('a flight is joined under its own name without asking upstream, and not under another name', async () => {
  const { registry, resolver, store, digest, bytes } = underWay()
  const first = await resolver.blob(mine, digest, { signal })
  const second = await resolver.blob(mine, digest, { signal })
  assert.equal(registry.asked.head, 0)
  await assert.rejects(resolver.blob(other, digest, { signal }), { code: 'absent' })
  await assert.rejects(resolver.blobHead(other, digest, { signal }), { code: 'absent' })
  assert.equal((await resolver.blobHead(mine, digest, { signal })).size, bytes.length)
  assert.equal(registry.asked.head, 1)
  store.resumeWrites()
  for (const answer of [first, second]) assert.ok((await bodyOf(answer)).equals(bytes))
})

test('a flight is joined under another name if upstream has the blob there', async () => {
  const { registry, resolver, store, catalog, digest, bytes } = underWay()
  const first = await resolver.blob(mine, digest, { signal })
  registry.keepIn(other, digest)
  const second = await resolver.blob(other, digest, { signal })
  assert.deepEqual(second.cacheResult, { kind: 'miss', from: 'upstream', collapsed: true })
  store.resumeWrites()
  for (const answer of [first, second]) assert.ok((await bodyOf(answer)).equals(bytes))
  assert.deepEqual([registry.asked.head, registry.asked.sources], [1, 1])
  assert.deepEqual(await catalog.filterKnown(other, [digest]), [digest])
})

test('the bytes that an earlier flight has left are given to no other name', async () => {
  const { registry, resolver, store } = setUpResolver()
  const bytes = randomBytes(200_000)
  const digest = registry.add(bytes)
  registry.keepIn(mine, digest)
  store.partials.set(digest, Uint8Array.from(bytes))
  await assert.rejects(resolver.blob(other, digest, { signal }), { code: 'absent' })
  assert.ok((await bodyOf(await resolver.blob(mine, digest, { signal }))).equals(bytes))
  assert.equal(registry.asked.sources, 0)
})
