import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { HeadRequestOptions } from '../../../src/ports/registry.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { bodyOf } from '../../../testkit/memory/read-body.ts'
import { alpine, manifestOf, setUpResolver, signal } from '../support/resolver.ts'

const mine: Repository = { registry: 'private.test', name: 'mine' }
const REFUSED = new Failure('denied', 'log in first')
const AWAY = new Failure('unavailable', 'upstream is away')

/** A private image that was pulled by its tag with credentials. */
async function pulled(catalog = new MemoryCatalog()) {
  const parts = setUpResolver({ catalog })
  const { registry, resolver, pull, flightsEnded } = parts
  registry.privateRegistries.add(mine.registry)
  const layer = randomBytes(100_000)
  const manifest = manifestOf([layer])
  const digests = { layer: registry.add(layer), manifest: registry.add(manifest, OCI_MANIFEST) }
  registry.setTag(mine, 'v1', digests.manifest)
  await resolver.manifestByTag(mine, 'v1', { signal })
  await resolver.tags(mine, { signal })
  await flightsEnded()
  await pull(mine, digests.layer)
  return { ...parts, digests, layer }
}

type Resolver = Awaited<ReturnType<typeof pulled>>['resolver']

/** All ways to get the image, or to learn of it, from this node. */
function ways(resolver: Resolver, digests: Awaited<ReturnType<typeof pulled>>['digests']) {
  const { layer, manifest } = digests
  return [
    () => resolver.blob(mine, layer, { signal }).then(bodyOf),
    () => resolver.blobHead(mine, layer, { signal }),
    () => resolver.manifestByDigest(mine, manifest, { signal }),
    () => resolver.manifestHead(mine, manifest, { signal }),
    () => resolver.manifestByTag(mine, 'v1', { signal }),
    () => resolver.tags(mine, { signal }),
  ]
}

for (const failure of [REFUSED, AWAY]) {
  test(`what was cached with credentials is not served without them when upstream is ${failure.code}`, async () => {
    const { resolver, registry, store, digests, layer } = await pulled()
    registry.privateRegistries.clear()
    registry.failure = failure
    for (const ask of ways(resolver, digests)) await assert.rejects(ask, { code: failure.code })
    const name = { repository: mine, digest: digests.layer }
    assert.equal(await resolver.localContent.state(name), undefined, 'peers get nothing either')
    assert.equal(await resolver.localContent.open(name, { signal }), undefined)
    await assert.rejects(resolver.localContent.confirm({ kind: 'blob', ...name }), { code: failure.code })
    assert.equal(store.openContents, 0)
    assert.equal(
      await resolver.isPrivate(mine),
      true,
      'its name is listed for nobody who could not list it before',
    )

    registry.privateRegistries.add(mine.registry)
    const blob = await resolver.blob(mine, digests.layer, { signal })
    assert.ok((await bodyOf(blob)).equals(layer), 'with the credentials it is served as before')
    assert.equal(blob.cacheResult.kind, 'hit')
  })
}

test('what was cached with credentials is not served after a restart without them', async () => {
  const { digests, restart } = await pulled()
  const again = restart()
  again.registry.failure = REFUSED
  for (const ask of ways(again.resolver, digests)) await assert.rejects(ask, { code: 'denied' })
  assert.equal(again.registry.asked.sources, 0, 'nothing is fetched, not from peers either')
})

test('an image that upstream gives to everybody is served again, and upstream is asked once', async () => {
  const { digests, layer, catalog, resolver, registry, restart } = await pulled()
  registry.privateRegistries.clear()
  const headsBefore = registry.asked.head
  await Promise.all(
    Array.from({ length: 10 }, () => resolver.manifestByDigest(mine, digests.manifest, { signal })),
  )
  assert.equal(registry.asked.head - headsBefore, 1)
  assert.deepEqual(await catalog.credentialed(), [])
  const again = restart()
  again.registry.failure = AWAY
  for (const { resolver: each } of [{ resolver }, again]) {
    assert.ok((await bodyOf(await each.blob(mine, digests.layer, { signal }))).equals(layer))
    assert.equal(await each.isPrivate(mine), false)
  }
  assert.equal(registry.asked.head - headsBefore, 1)
})

test('credentials that are removed while a content is under way leave it in doubt', async () => {
  const { resolver, registry, store, catalog, flightsEnded } = setUpResolver()
  registry.privateRegistries.add(mine.registry)
  const digest = registry.add(randomBytes(200_000))
  store.pauseWrites()
  const body = resolver.blob(mine, digest, { signal }).then(bodyOf)
  await assert.doesNotReject(async () => {
    while (registry.asked.sources === 0) await new Promise(setImmediate)
  })
  registry.privateRegistries.clear()
  store.resumeWrites()
  await body
  await flightsEnded()
  assert.deepEqual(await catalog.credentialed(), [mine])
  registry.failure = REFUSED
  await assert.rejects(resolver.blob(mine, digest, { signal }), { code: 'denied' })
})

test('a name that upstream has confirmed with credentials is in doubt without them', async () => {
  const { resolver, registry, catalog, pull } = setUpResolver()
  const digest = registry.add(randomBytes(1000))
  await pull(alpine, digest)
  registry.privateRegistries.add(mine.registry)
  await bodyOf(await resolver.blob(mine, digest, { signal }))
  assert.deepEqual(await catalog.filterKnown(mine, [digest]), [digest])
  registry.privateRegistries.clear()
  registry.failure = REFUSED
  await assert.rejects(resolver.blob(mine, digest, { signal }), { code: 'denied' })
  const { cacheResult } = await resolver.blob(alpine, digest, { signal })
  assert.equal(cacheResult.kind, 'hit', 'under its other name it is not in doubt')
})

test('upstream is asked about a repository in doubt without credentials, also if they are back by then', async () => {
  const { resolver, registry, catalog, digests } = await pulled()
  registry.privateRegistries.clear()
  const asked: unknown[] = []
  registry.head = async (_, { isAnonymous }: HeadRequestOptions) => {
    registry.privateRegistries.add(mine.registry)
    asked.push(isAnonymous)
    throw REFUSED
  }
  await assert.rejects(resolver.blob(mine, digests.layer, { signal }), { code: 'denied' })
  assert.deepEqual([asked, await catalog.credentialed()], [[true], [mine]])
})

test('names that upstream does not have are not remembered, whatever is asked of them', async () => {
  const { resolver, registry, catalog, pull } = setUpResolver()
  const digest = registry.add(randomBytes(1000))
  await pull(alpine, digest)
  registry.privateRegistries.add(mine.registry)
  registry.referrersIndex = Buffer.from('{"schemaVersion":2,"manifests":[]}')
  const none = digestOf(Buffer.from('none'))
  assert.deepEqual((await resolver.tags(mine, { signal })).tags, [])
  await resolver.referrers(mine, none, { signal })
  registry.failure = new Failure('absent', 'no such repository')
  for (const ask of [
    () => resolver.manifestByTag(mine, 'v1', { signal }),
    () => resolver.manifestByDigest(mine, none, { signal }),
    () => resolver.manifestHead(mine, none, { signal }),
    () => resolver.blob(mine, none, { signal }).then(bodyOf),
    () => resolver.blob(mine, digest, { signal }),
    () => resolver.tags({ ...mine, name: 'other' }, { signal }),
  ])
    await assert.rejects(ask, Failure)
  assert.deepEqual(await catalog.credentialed(), [])
})

test('a repository of which nothing was stored is forgotten at the next start', async () => {
  const { catalog, restart } = await pulled()
  await catalog.rememberCredentialed({ ...mine, name: 'none' })
  const { resolver } = restart()
  assert.equal(await resolver.isPrivate({ ...mine, name: 'none' }), false)
  assert.deepEqual(await catalog.credentialed(), [mine])
})

test('what was cached with a file of credentials that is not there any more is in doubt, and its name stays private', async () => {
  const { digests, restart } = await pulled()
  const { resolver, registry } = restart()
  registry.privateRegistries.add(mine.registry)
  registry.hasCredentials = async () => false
  registry.failure = AWAY
  for (const ask of ways(resolver, digests)) await assert.rejects(ask, { code: 'unavailable' })
  assert.equal(await resolver.isPrivate(mine), true)
})

test('upstream itself is asked without credentials for the tags of a repository in doubt', async () => {
  const { registry, restart } = await pulled()
  const again = restart()
  const asked: unknown[] = []
  again.registry.tags = async (_, { isAnonymous }: HeadRequestOptions) => {
    asked.push(isAnonymous)
    throw AWAY
  }
  await assert.rejects(again.resolver.tags(mine, { signal }), { code: 'unavailable' })
  await assert.rejects(again.resolver.tags({ ...mine, name: 'other' }, { signal }), { code: 'unavailable' })
  assert.deepEqual([asked, registry.asked.tags], [[true, false], 1])
})

test('a catalog that cannot be written changes no pull', async () => {
  const catalog = new MemoryCatalog()
  catalog.rememberCredentialed = () => Promise.reject(new Error('no space left'))
  catalog.forgetCredentialed = () => Promise.reject(new Error('no space left'))
  const { resolver, registry, digests, layer } = await pulled(catalog)
  registry.failure = AWAY
  assert.ok((await bodyOf(await resolver.blob(mine, digests.layer, { signal }))).equals(layer))
})

test('without credentials no repository is ever in doubt', async () => {
  const { resolver, registry, catalog, pull } = setUpResolver()
  const digest = registry.add(randomBytes(1000))
  await pull(alpine, digest)
  registry.failure = AWAY
  assert.equal((await resolver.blob(alpine, digest, { signal })).cacheResult.kind, 'hit')
  assert.deepEqual([registry.asked.head, await catalog.credentialed()], [0, []])
})
