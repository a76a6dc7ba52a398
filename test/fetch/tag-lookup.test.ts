import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_FRESHNESS, type FreshnessPolicy } from '../../src/fetch/freshness.ts'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Failure } from '../../src/ports/failure.ts'
import { until } from '../../testkit/memory/read-body.ts'
import { alpine, manifestOf, setUpResolver, signal } from './support/resolver.ts'

/** A resolver of a registry in which the tag `latest` is the manifest `old`. */
function tagged(policy: Partial<FreshnessPolicy> = {}) {
  const parts = setUpResolver({ freshnessPolicy: { ...DEFAULT_FRESHNESS, ...policy } })
  const old = parts.registry.add(manifestOf([Buffer.from('old')]), OCI_MANIFEST)
  parts.registry.setTag(alpine, 'latest', old)
  return { ...parts, old }
}

test('upstream is asked for a tag once within its TTL', async () => {
  const { registry, resolver, flightsEnded } = tagged()
  const first = await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.deepEqual(first.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
  await flightsEnded()
  const second = await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.deepEqual(second.cacheResult, { kind: 'hit' })
  assert.equal(registry.asked.tag, 1)
})

test('upstream is asked for a tag once for all who wait', async () => {
  const { registry, resolver } = tagged()
  await Promise.all(Array.from({ length: 20 }, () => resolver.manifestByTag(alpine, 'latest', { signal })))
  assert.equal(registry.asked.tag, 1)
  assert.equal(registry.asked.sources, 1)
})

test('after its TTL upstream is asked for a tag again, by HEAD alone if it has not moved', async () => {
  const { registry, resolver, old } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  const again = await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.deepEqual(again.cacheResult, { kind: 'revalidated' })
  assert.equal(again.digest, old)
  assert.equal(registry.asked.sources, 1)
})

test('a tag moves when upstream moves it', async () => {
  const { registry, resolver, catalog } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  const moved = registry.add(manifestOf([Buffer.from('new')]), OCI_MANIFEST)
  registry.setTag(alpine, 'latest', moved)
  assert.equal((await resolver.manifestByTag(alpine, 'latest', { signal })).digest, moved)
  assert.equal((await catalog.tag(alpine, 'latest'))?.digest, moved)
})

for (const code of ['unavailable', 'stalled', 'busy'] as const) {
  test(`a tag is served stale when upstream is ${code}, and the answer says so`, async () => {
    const { registry, resolver, old } = tagged()
    await resolver.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    registry.failure = new Failure(code, 'upstream is away')
    const stale = await resolver.manifestByTag(alpine, 'latest', { signal })
    assert.deepEqual(stale.cacheResult, { kind: 'stale-if-error' })
    assert.equal(stale.digest, old)
  })
}

for (const code of ['denied', 'absent'] as const) {
  test(`a tag is not served stale when upstream says ${code}`, async () => {
    const { registry, resolver } = tagged()
    await resolver.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    registry.failure = new Failure(code, 'no')
    await assert.rejects(resolver.manifestByTag(alpine, 'latest', { signal }), { code })
  })
}

test('a tag is forgotten when upstream no longer has it', async () => {
  const { registry, resolver, catalog } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  registry.setTag(alpine, 'latest', undefined)
  await assert.rejects(resolver.manifestByTag(alpine, 'latest', { signal }), { code: 'absent' })
  assert.equal(await catalog.tag(alpine, 'latest'), undefined)
})

test('a tag is not served stale for longer than staleIfError', async () => {
  const { registry, resolver, catalog, old } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  await catalog.rememberTag(alpine, 'latest', {
    digest: old,
    mediaType: OCI_MANIFEST,
    checkedAt: Date.now() - registry.fresh.tagTtlMs - registry.fresh.staleIfErrorMs - 1,
  })
  registry.failure = new Failure('unavailable', 'upstream is away')
  await assert.rejects(resolver.manifestByTag(alpine, 'latest', { signal }), { code: 'unavailable' })
})

test('a tag that was checked in the future is asked for again, because the clock was set back', async () => {
  const { registry, resolver, catalog, old } = tagged()
  await catalog.rememberTag(alpine, 'latest', {
    digest: old,
    mediaType: OCI_MANIFEST,
    checkedAt: Date.now() + 86_400_000,
  })
  await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.equal(registry.asked.tag, 1)
})

test('a tag that a peer has answered is as old as upstream’s answer to that peer', async () => {
  const { registry, resolver, catalog, old } = tagged()
  registry.ageMs = 50_000
  const before = Date.now()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  const record = await catalog.tag(alpine, 'latest')
  assert.equal(record?.digest, old)
  assert.ok(record.checkedAt >= before - 50_000 && record.checkedAt <= Date.now() - 50_000)
  await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.equal(registry.asked.tag, 1)
  registry.ageMs = -1000
  registry.fresh.tagTtlMs = 40_000
  await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.equal(registry.asked.tag, 2)
  assert.ok(((await catalog.tag(alpine, 'latest'))?.checkedAt ?? 0) <= Date.now(), 'not from the future')
})

test('an upstream that has just failed is not asked for a tag by every pull', async () => {
  const { registry, resolver } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  registry.failure = new Failure('unavailable', 'upstream is away')
  for (let n = 0; n < 5; n++) await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.equal(registry.asked.tag, 2)
})

test('a tag is served stale after a short wait when upstream does not answer', async () => {
  const { registry, resolver, old } = tagged({ timeoutBeforeStaleMs: 30 })
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  registry.answersAfter = new Promise(() => {})
  assert.equal((await resolver.manifestByTag(alpine, 'latest', { signal })).digest, old)
})

test('a tag does not move to a manifest that cannot be fetched', async () => {
  const { registry, resolver, old, catalog } = tagged()
  await resolver.manifestByTag(alpine, 'latest', { signal })
  registry.fresh.tagTtlMs = 0
  const moved = registry.add(manifestOf([Buffer.from('new')]), OCI_MANIFEST)
  registry.setTag(alpine, 'latest', moved)
  const sources = registry.sources.bind(registry)
  registry.sources = (want) => {
    registry.failure = new Failure('unavailable', 'died in between')
    return sources(want)
  }
  const answer = await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.equal(answer.digest, old)
  assert.deepEqual(answer.cacheResult, { kind: 'stale-if-error' })
  assert.equal((await catalog.tag(alpine, 'latest'))?.digest, old)
})

test('a client that leaves does not end the request for a tag that others wait for', async () => {
  const { registry, resolver, old } = tagged()
  const answer = new Deferred<void>()
  registry.answersAfter = answer.promise
  const leaving = new AbortController()
  const first = resolver.manifestByTag(alpine, 'latest', { signal: leaving.signal })
  const second = resolver.manifestByTag(alpine, 'latest', { signal })
  await until(() => registry.asked.tag === 1)
  leaving.abort(new Error('gone'))
  await assert.rejects(first, { message: 'gone' })
  answer.resolve()
  assert.equal((await second).digest, old)
})

/** An imported tag: upstream has another manifest than `old` under it, or says `failure`. */
async function imported(failure?: Failure) {
  const parts = tagged()
  const { catalog, registry, resolver, old } = parts
  await resolver.manifestByDigest(alpine, old, { signal })
  const importedAt = Date.now() - 10 * 365 * 86_400_000
  const record = { digest: old, mediaType: OCI_MANIFEST, checkedAt: importedAt, importedAt }
  await catalog.rememberTag(alpine, 'latest', record)
  if (failure !== undefined) registry.failure = failure
  return { ...parts, importedAt }
}

for (const code of ['unavailable', 'stalled', 'busy', 'absent', 'denied', 'unlisted'] as const) {
  test(`an imported tag is served for ever while upstream is ${code}`, async () => {
    const { catalog, resolver, old, importedAt } = await imported(new Failure(code, 'no answer'))
    for (let request = 0; request < 2; request++) {
      const answer = await resolver.manifestByTag(alpine, 'latest', { signal })
      assert.equal(answer.digest, old)
      assert.deepEqual(answer.cacheResult, { kind: 'stale-if-error' })
    }
    assert.equal((await catalog.tag(alpine, 'latest'))?.importedAt, importedAt)
  })
}

test('upstream is asked before an imported tag counts as fresh, and confirms it', async () => {
  const { catalog, registry, resolver, old, importedAt } = await imported()
  await catalog.rememberTag(alpine, 'latest', {
    digest: old,
    mediaType: OCI_MANIFEST,
    checkedAt: Date.now(),
    importedAt: Date.now(),
  })
  const answer = await resolver.manifestByTag(alpine, 'latest', { signal })
  assert.deepEqual(answer.cacheResult, { kind: 'revalidated' })
  assert.equal(registry.asked.tag, 1)
  const record = await catalog.tag(alpine, 'latest')
  assert.ok(record?.importedAt !== undefined && record.importedAt > importedAt)
  registry.failure = new Failure('denied', 'no')
  registry.fresh.tagTtlMs = 0
  registry.fresh.staleIfErrorMs = 0
  assert.equal((await resolver.manifestByTag(alpine, 'latest', { signal })).digest, old)
})

test('upstream moves an imported tag, which is a tag as any other then', async () => {
  const { catalog, registry, resolver } = await imported()
  const moved = registry.add(manifestOf([Buffer.from('new')]), OCI_MANIFEST)
  registry.setTag(alpine, 'latest', moved)
  assert.equal((await resolver.manifestByTag(alpine, 'latest', { signal })).digest, moved)
  assert.equal((await catalog.tag(alpine, 'latest'))?.importedAt, undefined)
  registry.fresh.tagTtlMs = 0
  registry.setTag(alpine, 'latest', undefined)
  await assert.rejects(resolver.manifestByTag(alpine, 'latest', { signal }), { code: 'absent' })
})
