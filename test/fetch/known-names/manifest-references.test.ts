import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { bodyOf } from '../../../testkit/memory/read-body.ts'
import { alpine, descriptor, indexOf, manifestOf, setUpResolver, signal } from '../support/resolver.ts'

const mine: Repository = { registry: 'private.test', name: 'mine' }
const other: Repository = alpine
const AWAY = new Failure('unavailable', 'upstream is away')

const layer = randomBytes(5000)
const manifest = manifestOf([layer])
const index = indexOf(manifest)

async function pulledElsewhere() {
  const parts = setUpResolver()
  const { registry, pull, pullManifest } = parts
  for (const bytes of [manifest, index]) registry.add(bytes, OCI_MANIFEST)
  await pull(mine, registry.add(layer))
  await pullManifest(mine, digestOf(manifest))
  await pullManifest(mine, digestOf(index))
  return parts
}

test('a manifest in memory is not served under another name', async () => {
  const { registry, resolver, pullManifest } = setUpResolver()
  const digest = registry.add(manifestOf([]), OCI_MANIFEST)
  registry.keepIn(mine, digest)
  await pullManifest(mine, digest)
  await pullManifest(mine, digest)
  await assert.rejects(resolver.manifestByDigest(other, digest, { signal }), { code: 'absent' })
  registry.failure = AWAY
  await resolver.manifestByDigest(mine, digest, { signal })
})

test('a manifest in memory is served under a name for which upstream has said that a tag is this manifest', async () => {
  const { registry, resolver, pullManifest } = setUpResolver()
  const digest = registry.add(manifestOf([]), OCI_MANIFEST)
  await pullManifest(mine, digest)
  registry.setTag(other, 'latest', digest)
  await resolver.manifestByTag(other, 'latest', { signal })
  registry.failure = AWAY
  assert.equal((await resolver.manifestByTag(other, 'latest', { signal })).digest, digest)
  await resolver.manifestByDigest(other, digest, { signal })
  assert.equal(registry.asked.head, 0)
})

test('a manifest in memory is served under a name whose list of referrers has it', async () => {
  const { registry, resolver, pullManifest } = setUpResolver()
  const signature = manifestOf([])
  const digest = registry.add(signature, OCI_MANIFEST)
  registry.keepIn(mine, digest)
  await pullManifest(mine, digest)
  registry.referrersIndex = indexOf(signature)
  await resolver.referrers(other, digestOf(Buffer.from('subject')), { signal })
  assert.equal((await resolver.manifestByDigest(other, digest, { signal })).digest, digest)
  assert.equal(registry.asked.head, 0)
})

test('a layer is served under every name under which its manifest is known, without asking upstream', async () => {
  const { registry, resolver, pullManifest } = await pulledElsewhere()
  await pullManifest(other, digestOf(manifest))
  const { head } = registry.asked
  registry.failure = AWAY
  assert.ok((await bodyOf(await resolver.blob(other, digestOf(layer), { signal }))).equals(layer))
  assert.equal(registry.asked.head, head)
})

test('after a restart the references of known manifests are followed, those of an image index too, and remembered', async () => {
  const before = await pulledElsewhere()
  await before.catalog.rememberKnownName(other, digestOf(index))
  const { registry, resolver, catalog } = before.restart()
  registry.failure = AWAY
  assert.ok((await bodyOf(await resolver.blob(other, digestOf(layer), { signal }))).equals(layer))
  await resolver.manifestByDigest(other, digestOf(manifest), { signal })
  assert.equal(registry.asked.head, 0)
  const parts = [digestOf(layer), digestOf(manifest)]
  assert.deepEqual(await catalog.filterKnown(other, parts), parts)
})

test('a manifest proves neither its subject nor a foreign layer, which a registry accepts unseen', async () => {
  const { registry, catalog, resolver, restart, pull, pullManifest } = setUpResolver()
  const [secret, foreign] = [randomBytes(100), randomBytes(100)]
  for (const bytes of [secret, foreign]) {
    registry.keepIn(mine, registry.add(bytes))
    await pull(mine, digestOf(bytes))
  }
  const urls = { urls: ['https://evil.test/layer'] }
  const taken = manifestOf([layer], {
    subject: descriptor(secret, OCI_MANIFEST),
    blobs: [descriptor(foreign, 'application/vnd.oci.image.layer.nondistributable.v1.tar', urls)],
  })
  const digest = registry.add(taken, OCI_MANIFEST)
  await pullManifest(other, digest)
  assert.deepEqual(await catalog.filterKnown(other, [digest]), [digest])
  const again = restart()
  again.registry.failure = new Failure('absent', 'no')
  for (const parts of [resolver, again.resolver]) {
    for (const bytes of [secret, foreign]) {
      await assert.rejects(parts.blob(other, digestOf(bytes), { signal }), { code: 'absent' })
    }
  }
})
