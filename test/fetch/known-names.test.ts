import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../src/fetch/freshness.ts'
import { CachingResolver } from '../../src/fetch/resolver.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { Failure } from '../../src/ports/failure.ts'
import { Clock } from '../../testkit/clock.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { bodyOf, until } from '../../testkit/memory/read-body.ts'
import { ScriptedRegistry } from '../../testkit/registries/scripted-registry.ts'

const mine: Repository = { registry: 'private.test', name: 'mine' }
const other: Repository = { registry: 'docker.io', name: 'library/alpine' }
const signal = new AbortController().signal
setMaxListeners(0, signal)
const AWAY = new Failure('unavailable', 'upstream is away')

function setUp(catalog = new MemoryCatalog(), store = new MemoryStore({ catalog })) {
  const registry = new ScriptedRegistry()
  const resolution = new CachingResolver({
    store,
    catalog,
    registry,
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: 1024 * 1024,
    flightLimit: 100,
  })
  /** Pulled under this name. */
  const pull = async (repository: Repository, digest: Digest): Promise<void> => {
    await bodyOf(await resolution.blob(repository, digest, { signal }))
    await until(() => resolution.flights.list().length === 0)
  }
  const pullManifest = async (repository: Repository, digest: Digest): Promise<void> => {
    await resolution.manifestByDigest(repository, digest, { signal })
    await until(() => resolution.flights.list().length === 0)
  }
  /** The same store after a restart: nothing is in memory. */
  const restart = () => setUp(catalog, store)
  return { store, catalog, registry, resolution, pull, pullManifest, restart }
}

function descriptor(bytes: Uint8Array, mediaType: string, more = {}) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...more }
}

function manifestOf(layers: readonly Uint8Array[], more: object = {}): Buffer {
  const of = layers.map((layer) => descriptor(layer, 'application/vnd.oci.image.layer.v1.tar'))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: of, ...more }))
}

function indexOf(...manifests: Uint8Array[]): Buffer {
  const of = manifests.map((manifest) => descriptor(manifest, OCI_MANIFEST))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: of }))
}

describe('what is stored under one name', () => {
  async function stored() {
    const parts = setUp()
    const bytes = randomBytes(100_000)
    const digest = parts.registry.add(bytes)
    parts.registry.keepIn(mine, digest)
    await parts.pull(mine, digest)
    return { ...parts, bytes, digest }
  }

  it('is absent under another when upstream does not have it there, and stays open for nobody', async () => {
    const { resolution, registry, store, digest } = await stored()
    for (let times = 0; times < 5; times++) {
      await assert.rejects(resolution.blob(other, digest, { signal }), { code: 'absent' })
      await assert.rejects(resolution.blobHead(other, digest, { signal }), { code: 'absent' })
    }
    assert.equal(registry.asked.head, 1, 'the answer is remembered for a while')
    assert.equal(registry.asked.sources, 1)
    assert.equal(store.openContents, 0)
    assert.equal((await resolution.blob(mine, digest, { signal })).cacheResult.kind, 'hit')
  })

  it('is served under another once upstream has said that it is there, which is asked once', async () => {
    const { resolution, registry, catalog, restart, bytes } = await stored()
    const digest = registry.add(bytes)
    registry.keepIn(other, digest)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => resolution.blob(other, digest, { signal })),
    )
    for (const answer of answers) assert.ok((await bodyOf(answer)).equals(bytes))
    assert.equal((await resolution.blobHead(other, digest, { signal })).size, bytes.length)
    assert.deepEqual([registry.asked.head, registry.asked.sources], [1, 1])
    assert.deepEqual(await catalog.filterKnown(other, [digest]), [digest])
    const again = restart()
    again.registry.failure = AWAY
    assert.ok((await bodyOf(await again.resolution.blob(other, digest, { signal }))).equals(bytes))
  })

  for (const code of ['unavailable', 'busy', 'stalled'] as const) {
    it(`is not served under another when upstream is ${code}`, async () => {
      const { resolution, registry, digest, bytes } = await stored()
      registry.failure = new Failure(code, 'upstream is away')
      await assert.rejects(resolution.blob(other, digest, { signal }), { code })
      await assert.rejects(resolution.blobHead(other, digest, { signal }), { code })
      assert.ok((await bodyOf(await resolution.blob(mine, digest, { signal }))).equals(bytes))
      registry.failure = undefined
      registry.keepIn(other, digest)
      assert.ok((await bodyOf(await resolution.blob(other, digest, { signal }))).equals(bytes))
    })
  }

  it('is not served under another when upstream does not answer, and who leaves waits no longer', async (t) => {
    const { resolution, registry, digest } = await stored()
    const clock = new Clock(t)
    registry.gate = new Promise(() => {})
    const leaving = new AbortController()
    const left = resolution.blob(other, digest, { signal: leaving.signal })
    const stayed = resolution.blob(other, digest, { signal })
    await until(() => registry.asked.head === 1)
    leaving.abort(new Error('gone'))
    await assert.rejects(left, { message: 'gone' })
    await clock.until(assert.rejects(stayed, { code: 'stalled' }))
  })

  it('is not served under another where upstream has something of another size', async () => {
    const { resolution, registry, digest } = await stored()
    registry.keepIn(other, digest)
    registry.head = async () => ({ size: 1, mediaType: undefined })
    await assert.rejects(resolution.blob(other, digest, { signal }), { code: 'absent' })
  })

  it('that the store has dropped is known under no name any more', async () => {
    const { resolution, registry, store, catalog, digest } = await stored()
    store.stored.delete(digest)
    catalog.knownIn.clear()
    resolution.forget(digest)
    registry.keepIn(other, digest)
    await bodyOf(await resolution.blob(other, digest, { signal }))
    await until(() => resolution.flights.list().length === 0)
    await assert.rejects(resolution.blob(mine, digest, { signal }), { code: 'absent' })
  })
})

describe('a manifest in memory', () => {
  it('is not served under another name', async () => {
    const { registry, resolution, pullManifest } = setUp()
    const digest = registry.add(manifestOf([]), OCI_MANIFEST)
    registry.keepIn(mine, digest)
    await pullManifest(mine, digest)
    await pullManifest(mine, digest)
    await assert.rejects(resolution.manifestByDigest(other, digest, { signal }), { code: 'absent' })
    registry.failure = AWAY
    await resolution.manifestByDigest(mine, digest, { signal })
  })

  it('is served where upstream has said that a tag is this one', async () => {
    const { registry, resolution, pullManifest } = setUp()
    const digest = registry.add(manifestOf([]), OCI_MANIFEST)
    await pullManifest(mine, digest)
    registry.setTag(other, 'latest', digest)
    await resolution.manifestByTag(other, 'latest', { signal })
    registry.failure = AWAY
    assert.equal((await resolution.manifestByTag(other, 'latest', { signal })).digest, digest)
    await resolution.manifestByDigest(other, digest, { signal })
    assert.equal(registry.asked.head, 0)
  })

  it('is served where a list of referrers names it', async () => {
    const { registry, resolution, pullManifest } = setUp()
    const signature = manifestOf([])
    const digest = registry.add(signature, OCI_MANIFEST)
    registry.keepIn(mine, digest)
    await pullManifest(mine, digest)
    registry.referrersIndex = indexOf(signature)
    await resolution.referrers(other, digestOf(Buffer.from('subject')), { signal })
    assert.equal((await resolution.manifestByDigest(other, digest, { signal })).digest, digest)
    assert.equal(registry.asked.head, 0)
  })
})

describe('what a manifest references', () => {
  const layer = randomBytes(5000)
  const manifest = manifestOf([layer])
  const index = indexOf(manifest)

  async function pulledElsewhere() {
    const parts = setUp()
    const { registry, pull, pullManifest } = parts
    for (const bytes of [manifest, index]) registry.add(bytes, OCI_MANIFEST)
    await pull(mine, registry.add(layer))
    await pullManifest(mine, digestOf(manifest))
    await pullManifest(mine, digestOf(index))
    return parts
  }

  it('is served under every name under which the manifest is known, without a question', async () => {
    const { registry, resolution, pullManifest } = await pulledElsewhere()
    await pullManifest(other, digestOf(manifest))
    const { head } = registry.asked
    registry.failure = AWAY
    assert.ok((await bodyOf(await resolution.blob(other, digestOf(layer), { signal }))).equals(layer))
    assert.equal(registry.asked.head, head)
  })

  it('is so by the index after a restart, through an index too, and is remembered', async () => {
    const before = await pulledElsewhere()
    await before.catalog.rememberKnownName(other, digestOf(index))
    const { registry, resolution, catalog } = before.restart()
    registry.failure = AWAY
    assert.ok((await bodyOf(await resolution.blob(other, digestOf(layer), { signal }))).equals(layer))
    await resolution.manifestByDigest(other, digestOf(manifest), { signal })
    assert.equal(registry.asked.head, 0)
    const parts = [digestOf(layer), digestOf(manifest)]
    assert.deepEqual(await catalog.filterKnown(other, parts), parts)
  })

  it('is not served by what its subject is, or as a foreign layer, which a registry takes unseen', async () => {
    const { registry, catalog, resolution, restart, pull, pullManifest } = setUp()
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
    for (const parts of [resolution, again.resolution]) {
      for (const bytes of [secret, foreign]) {
        await assert.rejects(parts.blob(other, digestOf(bytes), { signal }), { code: 'absent' })
      }
    }
  })
})

describe('a transfer under way', () => {
  function underWay() {
    const parts = setUp()
    const bytes = randomBytes(200_000)
    const digest = parts.registry.add(bytes)
    parts.registry.keepIn(mine, digest)
    parts.store.pauseWrites()
    return { ...parts, bytes, digest }
  }

  it('is joined under its own name without a question, and not under another', async () => {
    const { registry, resolution, store, digest, bytes } = underWay()
    const first = await resolution.blob(mine, digest, { signal })
    const second = await resolution.blob(mine, digest, { signal })
    assert.equal(registry.asked.head, 0)
    await assert.rejects(resolution.blob(other, digest, { signal }), { code: 'absent' })
    await assert.rejects(resolution.blobHead(other, digest, { signal }), { code: 'absent' })
    assert.equal((await resolution.blobHead(mine, digest, { signal })).size, bytes.length)
    assert.equal(registry.asked.head, 1)
    store.resumeWrites()
    for (const answer of [first, second]) assert.ok((await bodyOf(answer)).equals(bytes))
  })

  it('is joined under another name when upstream has it there', async () => {
    const { registry, resolution, store, catalog, digest, bytes } = underWay()
    const first = await resolution.blob(mine, digest, { signal })
    registry.keepIn(other, digest)
    const second = await resolution.blob(other, digest, { signal })
    assert.deepEqual(second.cacheResult, { kind: 'miss', from: 'upstream', collapsed: true })
    store.resumeWrites()
    for (const answer of [first, second]) assert.ok((await bodyOf(answer)).equals(bytes))
    assert.deepEqual([registry.asked.head, registry.asked.sources], [1, 1])
    assert.deepEqual(await catalog.filterKnown(other, [digest]), [digest])
  })

  it('that has left all bytes behind gives them to no other name', async () => {
    const { registry, resolution, store } = setUp()
    const bytes = randomBytes(200_000)
    const digest = registry.add(bytes)
    registry.keepIn(mine, digest)
    store.partials.set(digest, Uint8Array.from(bytes))
    await assert.rejects(resolution.blob(other, digest, { signal }), { code: 'absent' })
    assert.ok((await bodyOf(await resolution.blob(mine, digest, { signal }))).equals(bytes))
    assert.equal(registry.asked.sources, 0)
  })
})
