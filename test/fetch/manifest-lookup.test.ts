import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { readManifestBody } from '../../src/fetch/manifests/manifest-body.ts'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { bodyOf, until } from '../../testkit/memory/read-body.ts'
import { alpine, manifestOf, setUpResolver, signal } from './support/resolver.ts'

test('a manifest has its bytes and its type, and comes from memory the second time', async () => {
  const { registry, resolver, store } = setUpResolver()
  const bytes = manifestOf([randomBytes(10)])
  const digest = registry.add(bytes, OCI_MANIFEST)
  const first = await resolver.manifestByDigest(alpine, digest, { signal })
  assert.ok(Buffer.from(await readManifestBody(first, { signal })).equals(bytes))
  assert.equal(first.mediaType, OCI_MANIFEST)
  await until(() => store.stored.has(digest))
  const second = await resolver.manifestByDigest(alpine, digest, { signal })
  assert.deepEqual(second.cacheResult, { kind: 'hit' })
  assert.equal(store.openContents, 0)
})

test('a large manifest without a declared type is given to all who ask while it comes', {
  timeout: 60_000,
}, async () => {
  const { registry, resolver } = setUpResolver()
  const annotations = { filling: 'f'.repeat(300_000) }
  const bytes = Buffer.from(JSON.stringify({ ...JSON.parse(manifestOf([]).toString()), annotations }))
  const digest = registry.add(bytes)
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => resolver.manifestByDigest(alpine, digest, { signal })),
  )
  for (const answer of answers) {
    assert.equal(answer.mediaType, OCI_MANIFEST)
    assert.ok(!(answer.body instanceof Uint8Array), 'it is in memory')
    assert.ok(Buffer.from(await readManifestBody(answer, { signal })).equals(bytes))
  }
})

test('a manifest that the store has dropped is not answered from memory', async () => {
  const { registry, resolver, store } = setUpResolver()
  const digest = registry.add(manifestOf([randomBytes(10)]), OCI_MANIFEST)
  await resolver.manifestByDigest(alpine, digest, { signal })
  await until(() => store.stored.has(digest) && resolver.flights.list().length === 0)
  await resolver.manifestByDigest(alpine, digest, { signal })
  store.stored.delete(digest)
  resolver.forget(digest)
  const again = await resolver.manifestByDigest(alpine, digest, { signal })
  assert.equal(again.cacheResult.kind, 'miss')
})

test('a manifest that the store drops while it is read does not come back from memory', async () => {
  const { catalog, registry, resolver, store } = setUpResolver()
  const bytes = manifestOf([randomBytes(10)])
  const digest = store.seed(bytes, { kind: 'manifest', mediaType: OCI_MANIFEST })
  await catalog.rememberKnownName(alpine, digest)
  const [isReading, mayRead] = [new Deferred<void>(), new Deferred<void>()]
  const open = store.open.bind(store)
  store.open = async (wanted) => {
    const content = await open(wanted)
    if (content === undefined) return undefined
    const read: Content['read'] = async (target, position) => {
      isReading.resolve()
      await mayRead.promise
      return content.read(target, position)
    }
    return { ...content, read }
  }
  const reading = resolver.manifestByDigest(alpine, digest, { signal })
  await isReading.promise
  store.stored.delete(digest)
  resolver.forget(digest)
  mayRead.resolve()
  assert.deepEqual(Buffer.from(await readManifestBody(await reading, { signal })), bytes)
  registry.failure = new Failure('absent', 'upstream has lost it too')
  await assert.rejects(resolver.manifestByDigest(alpine, digest, { signal }), { code: 'absent' })
})

test('a manifest is stored with its references', async () => {
  const { registry, resolver, store } = setUpResolver()
  const layer = randomBytes(10)
  const digest = registry.add(manifestOf([layer]), OCI_MANIFEST)
  await resolver.manifestByDigest(alpine, digest, { signal })
  await until(() => store.stored.has(digest))
  assert.deepEqual(store.stored.get(digest)?.references, [digestOf(layer)])
})

test('a blob that is no manifest is not found as one', async () => {
  const { registry, resolver } = setUpResolver()
  const digest = registry.add(randomBytes(100))
  await bodyOf(await resolver.blob(alpine, digest, { signal }))
  await assert.rejects(resolver.manifestByDigest(alpine, digest, { signal }), { code: 'absent' })
})

test('a manifest of schema 1 is refused and not stored', async () => {
  const { registry, resolver, store } = setUpResolver()
  const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const digest = registry.add(Buffer.from('{"schemaVersion":1,"fsLayers":[]}'), schema1)
  await assert.rejects(resolver.manifestByDigest(alpine, digest, { signal }), { code: 'unsupported' })
  assert.equal(store.stored.size, 0)
})
