import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../src/fetch/freshness.ts'
import { readManifestBody } from '../../src/fetch/manifests/manifest-body.ts'
import { CachingResolver } from '../../src/fetch/resolver.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { bodyOf, until } from '../../testkit/memory/read-body.ts'
import { ScriptedRegistry } from '../../testkit/registries/scripted-registry.ts'

const alpine = { registry: 'docker.io', name: 'library/alpine' }
const signal = new AbortController().signal
setMaxListeners(0, signal)

function setUp(freshness = DEFAULT_FRESHNESS, catalog = new MemoryCatalog()) {
  const store = new MemoryStore({ catalog })
  const registry = new ScriptedRegistry()
  const resolution = new CachingResolver({
    store,
    catalog,
    registry,
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 },
    freshnessPolicy: freshness,
    manifestMemoryBytes: 1024 * 1024,
    flightLimit: 100,
  })
  return { store, catalog, registry, resolution }
}

function manifestOf(...layers: Uint8Array[]): Buffer {
  const descriptors = layers.map((layer) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: digestOf(layer),
    size: layer.length,
  }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: descriptors }))
}

describe('a blob', () => {
  it('is fetched once and is a hit from then on, also with upstream down', async () => {
    const { registry, resolution } = setUp()
    const bytes = randomBytes(200_000)
    const digest = registry.add(bytes)
    const first = await resolution.blob(alpine, digest, { signal })
    assert.deepEqual(first.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
    assert.ok((await bodyOf(first)).equals(bytes))
    await until(() => resolution.flights.list().length === 0)
    registry.failure = new Failure('unavailable', 'upstream is down')
    const second = await resolution.blob(alpine, digest, { signal })
    assert.deepEqual(second.cacheResult, { kind: 'hit' })
    assert.ok((await bodyOf(second)).equals(bytes))
    assert.equal(registry.asked.sources, 1)
  })

  it('says collapsed to those who join a transfer under way', async () => {
    const { registry, resolution } = setUp()
    const digest = registry.add(randomBytes(200_000))
    const answers = await Promise.all([1, 2, 3].map(() => resolution.blob(alpine, digest, { signal })))
    const collapsed = answers.map(({ cacheResult }) => cacheResult.kind === 'miss' && cacheResult.collapsed)
    assert.deepEqual(collapsed.sort(), [false, true, true])
    await Promise.all(answers.map(bodyOf))
    assert.equal(registry.asked.sources, 1)
  })

  it('is fetched once however requests and landings fall together', async () => {
    const { registry, resolution } = setUp()
    const bytes = randomBytes(1_000)
    const digest = registry.add(bytes)
    const pulls: Promise<Buffer>[] = []
    for (let n = 0; n < 200; n++) {
      pulls.push(resolution.blob(alpine, digest, { signal }).then(bodyOf))
      if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    for (const body of await Promise.all(pulls)) assert.ok(body.equals(bytes))
    assert.equal(registry.asked.sources, 1)
  })

  it('is not fetched for a HEAD', async () => {
    const { registry, resolution, store } = setUp()
    const digest = registry.add(randomBytes(1_234))
    const head = await resolution.blobHead(alpine, digest, { signal })
    assert.equal(head.size, 1_234)
    assert.equal(registry.asked.sources, 0)
    assert.equal(store.stored.size, 0)
  })

  it('is of a private repository when the registry says that it is', async () => {
    const { registry, resolution } = setUp()
    assert.equal(await resolution.isPrivate(alpine), false)
    registry.privateRegistries.add(alpine.registry)
    assert.equal(await resolution.isPrivate(alpine), true)
  })

  it('is absent when upstream says so', async () => {
    const { resolution } = setUp()
    const nowhere = digestOf(randomBytes(8))
    await assert.rejects(resolution.blob(alpine, nowhere, { signal }), { code: 'absent' })
    await assert.rejects(resolution.blobHead(alpine, nowhere, { signal }), { code: 'absent' })
  })
})

describe('a manifest', () => {
  it('keeps its bytes and its type, and is in memory the second time', async () => {
    const { registry, resolution, store } = setUp()
    const bytes = manifestOf(randomBytes(10))
    const digest = registry.add(bytes, OCI_MANIFEST)
    const first = await resolution.manifestByDigest(alpine, digest, { signal })
    assert.ok(Buffer.from(await readManifestBody(first, { signal })).equals(bytes))
    assert.equal(first.mediaType, OCI_MANIFEST)
    await until(() => store.stored.has(digest))
    const second = await resolution.manifestByDigest(alpine, digest, { signal })
    assert.deepEqual(second.cacheResult, { kind: 'hit' })
    assert.equal(store.openContents, 0)
  })

  it('is asked about without being fetched, and by the type it has', async () => {
    const { registry, resolution, store, catalog } = setUp()
    const bytes = manifestOf(randomBytes(10))
    const digest = registry.add(bytes, OCI_MANIFEST)
    const head = await resolution.manifestHead(alpine, digest, { signal })
    assert.deepEqual([head.size, head.mediaType], [bytes.length, OCI_MANIFEST])
    assert.equal(head.cacheResult.kind, 'miss')
    assert.equal(registry.asked.sources, 0)
    assert.equal(store.stored.size, 0)
    const stored = store.seed(manifestOf(randomBytes(10)), { kind: 'manifest', mediaType: OCI_MANIFEST })
    await catalog.rememberKnownName(alpine, stored)
    assert.deepEqual((await resolution.manifestHead(alpine, stored, { signal })).cacheResult, { kind: 'hit' })
    assert.equal(registry.asked.head, 1)
  })

  it('that is large and has no declared type is given to all who ask while it comes', {
    timeout: 60_000,
  }, async () => {
    const { registry, resolution } = setUp()
    const annotations = { filling: 'f'.repeat(300_000) }
    const bytes = Buffer.from(JSON.stringify({ ...JSON.parse(manifestOf().toString()), annotations }))
    const digest = registry.add(bytes)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => resolution.manifestByDigest(alpine, digest, { signal })),
    )
    for (const answer of answers) {
      assert.equal(answer.mediaType, OCI_MANIFEST)
      assert.ok(!(answer.body instanceof Uint8Array), 'it is in memory')
      assert.ok(Buffer.from(await readManifestBody(answer, { signal })).equals(bytes))
    }
  })

  it('that the store has dropped is not answered from memory', async () => {
    const { registry, resolution, store } = setUp()
    const digest = registry.add(manifestOf(randomBytes(10)), OCI_MANIFEST)
    await resolution.manifestByDigest(alpine, digest, { signal })
    await until(() => store.stored.has(digest) && resolution.flights.list().length === 0)
    await resolution.manifestByDigest(alpine, digest, { signal })
    store.stored.delete(digest)
    resolution.forget(digest)
    const again = await resolution.manifestByDigest(alpine, digest, { signal })
    assert.equal(again.cacheResult.kind, 'miss')
  })

  it('that is dropped while it is read does not come back from memory', async () => {
    const { catalog, registry, resolution, store } = setUp()
    const bytes = manifestOf(randomBytes(10))
    const digest = store.seed(bytes, { kind: 'manifest', mediaType: OCI_MANIFEST })
    await catalog.rememberKnownName(alpine, digest)
    const reading = resolution.manifestByDigest(alpine, digest, { signal })
    await until(() => store.openContents === 1)
    store.stored.delete(digest)
    resolution.forget(digest)
    assert.deepEqual(Buffer.from(await readManifestBody(await reading, { signal })), bytes)
    registry.failure = new Failure('absent', 'upstream has lost it too')
    await assert.rejects(resolution.manifestByDigest(alpine, digest, { signal }), { code: 'absent' })
  })

  it('is stored with what it points at', async () => {
    const { registry, resolution, store } = setUp()
    const layer = randomBytes(10)
    const digest = registry.add(manifestOf(layer), OCI_MANIFEST)
    await resolution.manifestByDigest(alpine, digest, { signal })
    await until(() => store.stored.has(digest))
    assert.deepEqual(store.stored.get(digest)?.references, [digestOf(layer)])
  })

  it('is not found in a blob that is none', async () => {
    const { registry, resolution } = setUp()
    const digest = registry.add(randomBytes(100))
    await bodyOf(await resolution.blob(alpine, digest, { signal }))
    await assert.rejects(resolution.manifestByDigest(alpine, digest, { signal }), { code: 'absent' })
  })

  it('of schema 1 is refused and not stored', async () => {
    const { registry, resolution, store } = setUp()
    const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    const digest = registry.add(Buffer.from('{"schemaVersion":1,"fsLayers":[]}'), schema1)
    await assert.rejects(resolution.manifestByDigest(alpine, digest, { signal }), { code: 'unsupported' })
    assert.equal(store.stored.size, 0)
  })
})

describe('a tag', () => {
  function tagged(freshness = DEFAULT_FRESHNESS) {
    const parts = setUp(freshness)
    const old = parts.registry.add(manifestOf(Buffer.from('old')), OCI_MANIFEST)
    parts.registry.setTag(alpine, 'latest', old)
    return { ...parts, old }
  }

  it('is asked for once within its TTL', async () => {
    const { registry, resolution } = tagged()
    const first = await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.deepEqual(first.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
    await until(() => resolution.flights.list().length === 0)
    const second = await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.deepEqual(second.cacheResult, { kind: 'hit' })
    assert.equal(registry.asked.tag, 1)
  })

  it('is asked for once for all who wait', async () => {
    const { registry, resolution } = tagged()
    await Promise.all(
      Array.from({ length: 20 }, () => resolution.manifestByTag(alpine, 'latest', { signal })),
    )
    assert.equal(registry.asked.tag, 1)
    assert.equal(registry.asked.sources, 1)
  })

  it('is asked for again after its TTL, by HEAD alone when it has not moved', async () => {
    const { registry, resolution, old } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    const again = await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.deepEqual(again.cacheResult, { kind: 'revalidated' })
    assert.equal(again.digest, old)
    assert.equal(registry.asked.sources, 1)
  })

  it('moves when upstream moves it', async () => {
    const { registry, resolution, catalog } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    const moved = registry.add(manifestOf(Buffer.from('new')), OCI_MANIFEST)
    registry.setTag(alpine, 'latest', moved)
    assert.equal((await resolution.manifestByTag(alpine, 'latest', { signal })).digest, moved)
    assert.equal((await catalog.tag(alpine, 'latest'))?.digest, moved)
  })

  for (const code of ['unavailable', 'stalled', 'busy'] as const) {
    it(`serves what it was when upstream is ${code}, and says so`, async () => {
      const { registry, resolution, old } = tagged()
      await resolution.manifestByTag(alpine, 'latest', { signal })
      registry.fresh.tagTtlMs = 0
      registry.failure = new Failure(code, 'upstream is away')
      const stale = await resolution.manifestByTag(alpine, 'latest', { signal })
      assert.deepEqual(stale.cacheResult, { kind: 'stale-if-error' })
      assert.equal(stale.digest, old)
    })
  }

  for (const code of ['denied', 'absent'] as const) {
    it(`is not served stale when upstream says ${code}`, async () => {
      const { registry, resolution } = tagged()
      await resolution.manifestByTag(alpine, 'latest', { signal })
      registry.fresh.tagTtlMs = 0
      registry.failure = new Failure(code, 'no')
      await assert.rejects(resolution.manifestByTag(alpine, 'latest', { signal }), { code })
    })
  }

  it('is forgotten when upstream has it no more', async () => {
    const { registry, resolution, catalog } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    registry.setTag(alpine, 'latest', undefined)
    await assert.rejects(resolution.manifestByTag(alpine, 'latest', { signal }), { code: 'absent' })
    assert.equal(await catalog.tag(alpine, 'latest'), undefined)
  })

  it('is not served stale beyond its window', async () => {
    const { registry, resolution, catalog, old } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    await catalog.rememberTag(alpine, 'latest', {
      digest: old,
      mediaType: OCI_MANIFEST,
      checkedAt: Date.now() - registry.fresh.tagTtlMs - registry.fresh.staleIfErrorMs - 1,
    })
    registry.failure = new Failure('unavailable', 'upstream is away')
    await assert.rejects(resolution.manifestByTag(alpine, 'latest', { signal }), { code: 'unavailable' })
  })

  it('checked in the future is asked for again: the clock was set back', async () => {
    const { registry, resolution, catalog, old } = tagged()
    await catalog.rememberTag(alpine, 'latest', {
      digest: old,
      mediaType: OCI_MANIFEST,
      checkedAt: Date.now() + 86_400_000,
    })
    await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.equal(registry.asked.tag, 1)
  })

  it('is as old as what is known of upstream: what was heard from others may be confirmed for less long', async () => {
    const { registry, resolution, catalog, old } = tagged()
    registry.ageMs = 50_000
    const before = Date.now()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    const record = await catalog.tag(alpine, 'latest')
    assert.equal(record?.digest, old)
    assert.ok(record.checkedAt >= before - 50_000 && record.checkedAt <= Date.now() - 50_000)
    await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.equal(registry.asked.tag, 1)
    registry.ageMs = -1000
    registry.fresh.tagTtlMs = 40_000
    await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.equal(registry.asked.tag, 2)
    assert.ok(((await catalog.tag(alpine, 'latest'))?.checkedAt ?? 0) <= Date.now(), 'not from the future')
  })

  it('does not ask an upstream that has just failed with every pull', async () => {
    const { registry, resolution } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    registry.failure = new Failure('unavailable', 'upstream is away')
    for (let n = 0; n < 5; n++) await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.equal(registry.asked.tag, 2)
  })

  it('is served stale without long waiting when upstream does not answer', async () => {
    const { registry, resolution, old } = tagged({ ...DEFAULT_FRESHNESS, timeoutBeforeStaleMs: 30 })
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    registry.gate = new Promise(() => {})
    assert.equal((await resolution.manifestByTag(alpine, 'latest', { signal })).digest, old)
  })

  it('stays where it was when what it moved to cannot be had', async () => {
    const { registry, resolution, old, catalog } = tagged()
    await resolution.manifestByTag(alpine, 'latest', { signal })
    registry.fresh.tagTtlMs = 0
    const moved = registry.add(manifestOf(Buffer.from('new')), OCI_MANIFEST)
    registry.setTag(alpine, 'latest', moved)
    const sources = registry.sources.bind(registry)
    registry.sources = (want) => {
      registry.failure = new Failure('unavailable', 'died in between')
      return sources(want)
    }
    const answer = await resolution.manifestByTag(alpine, 'latest', { signal })
    assert.equal(answer.digest, old)
    assert.deepEqual(answer.cacheResult, { kind: 'stale-if-error' })
    assert.equal((await catalog.tag(alpine, 'latest'))?.digest, old)
  })

  it('asked for by one who leaves is still answered to the others', async () => {
    const { registry, resolution, old } = tagged()
    let open = (): void => {}
    registry.gate = new Promise((resolve) => {
      open = resolve
    })
    const leaving = new AbortController()
    const first = resolution.manifestByTag(alpine, 'latest', { signal: leaving.signal })
    const second = resolution.manifestByTag(alpine, 'latest', { signal })
    await until(() => registry.asked.tag === 1)
    leaving.abort(new Error('gone'))
    await assert.rejects(first, { message: 'gone' })
    open()
    assert.equal((await second).digest, old)
  })
})

describe('lists', () => {
  it('of tags come from upstream, from memory within the TTL, and from memory when upstream is away', async () => {
    const { registry, resolution } = setUp()
    registry.setTag(alpine, 'b', registry.add(Buffer.from('b')))
    registry.setTag(alpine, 'a', registry.add(Buffer.from('a')))
    assert.deepEqual((await resolution.tags(alpine, { signal })).tags, ['a', 'b'])
    assert.deepEqual((await resolution.tags(alpine, { signal })).cacheResult, { kind: 'hit' })
    registry.fresh.tagTtlMs = 0
    registry.failure = new Failure('unavailable', 'away')
    const stale = await resolution.tags(alpine, { signal })
    assert.deepEqual(stale, { tags: ['a', 'b'], cacheResult: { kind: 'stale-if-error' } })
  })

  it('of tags may be empty', async () => {
    const { resolution } = setUp()
    assert.deepEqual((await resolution.tags(alpine, { signal })).tags, [])
  })

  it('of referrers fail rather than look empty when upstream is away', async () => {
    const { registry, resolution } = setUp()
    registry.failure = new Failure('unavailable', 'away')
    const subject = digestOf(Buffer.from('subject'))
    await assert.rejects(resolution.referrers(alpine, subject, { signal }), { code: 'unavailable' })
  })
})

describe('a catalog that cannot be written to', () => {
  class FullCatalog extends MemoryCatalog {
    isFull = true

    override rememberTag(...given: Parameters<MemoryCatalog['rememberTag']>): Promise<void> {
      return this.#write(() => super.rememberTag(...given))
    }

    override forgetTag(...given: Parameters<MemoryCatalog['forgetTag']>): Promise<void> {
      return this.#write(() => super.forgetTag(...given))
    }

    override rememberList(...given: Parameters<MemoryCatalog['rememberList']>): Promise<void> {
      return this.#write(() => super.rememberList(...given))
    }

    override rememberKnownName(...given: Parameters<MemoryCatalog['rememberKnownName']>): Promise<void> {
      return this.#write(() => super.rememberKnownName(...given))
    }

    async #write(write: () => Promise<void>): Promise<void> {
      if (this.isFull) throw new Error('No space left on device')
      await write()
    }
  }

  it('fails no answer: upstream is asked again each time, and its no is a no', async () => {
    const catalog = new FullCatalog()
    const { registry, resolution } = setUp(DEFAULT_FRESHNESS, catalog)
    const digest = registry.add(manifestOf(Buffer.from('any')), OCI_MANIFEST)
    registry.setTag(alpine, 'latest', digest)
    for (let times = 1; times <= 2; times++) {
      assert.equal((await resolution.manifestByTag(alpine, 'latest', { signal })).digest, digest)
      assert.deepEqual((await resolution.tags(alpine, { signal })).tags, ['latest'])
      assert.equal(
        Buffer.from((await resolution.referrers(alpine, digest, { signal })).index).toString(),
        '{}',
      )
      const { tag, tags, referrers } = registry.asked
      assert.deepEqual([tag, tags, referrers], [times, times, times])
    }
    catalog.isFull = false
    await resolution.manifestByTag(alpine, 'latest', { signal })
    catalog.isFull = true
    registry.fresh.tagTtlMs = 0
    registry.setTag(alpine, 'latest', undefined)
    await assert.rejects(resolution.manifestByTag(alpine, 'latest', { signal }), { code: 'absent' })
  })
})
