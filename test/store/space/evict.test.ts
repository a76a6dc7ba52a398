import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import fc from 'fast-check'
import { Level } from 'level'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { BlobStore } from '../../../src/ports/blob-store.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/memory-store.ts'
import { runs } from '../../../testkit/property-runs.ts'
import { type Attempt, pour, ScriptedSource, sends } from '../../../testkit/registries/scripted-source.ts'
import { feed, keep, stored, wanted } from '../../conformance/blob-store.ts'
import { all, folder, opened, published } from '../folder.ts'

const { signal } = new AbortController()
const MIB = 1024 * 1024

/** A manifest that references these blobs. */
async function keepManifest(store: BlobStore, ...references: Digest[]): Promise<Digest> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, references, salt: Math.random() }))
  const digest = digestOf(bytes)
  const incoming = await store.begin(wanted(digest, 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'x', references, subject: undefined })
  await incoming.close()
  return digest
}

/** Waits for the next millisecond: two uses in the same millisecond have no order. */
async function tick(): Promise<void> {
  const now = Date.now()
  while (Date.now() === now) await new Promise((resolve) => setImmediate(resolve))
}

async function use(store: Store, digest: Digest): Promise<void> {
  await tick()
  await (await store.blobs.open(digest))?.close()
}

async function here(store: Store): Promise<Digest[]> {
  return (await all(store.list())).map(({ digest }) => digest)
}

async function keepInTurn(store: Store, ...sizes: number[]): Promise<Digest[]> {
  const digests: Digest[] = []
  for (const size of sizes) {
    await tick()
    digests.push(await keep(store.blobs, randomBytes(size)))
  }
  return digests
}

it('the size that a peer announces evicts nothing', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { bytes: 40 * MIB } })
  const kept = await keepInTurn(store, 5 * MIB, 5 * MIB)
  const evicted = published(t, 'store.evicted')
  const bytes = randomBytes(MIB)
  const claims = async ({ intake }: Attempt): Promise<void> => {
    intake.expect({ size: 38 * MIB, mediaType: undefined })
    await pour(intake, bytes, 300_000)
    // An eviction would have happened by now.
    await store.gc({ toBytes: 40 * MIB, signal })
    throw new Failure('absent', 'there is no more')
  }
  const flights = new Flights({
    store: store.blobs,
    sources: () => [
      new ScriptedSource('peers', [claims], 'peer'),
      new ScriptedSource('registry', [sends(bytes)]),
    ],
    policy: DEFAULT_FLIGHT_POLICY,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 10,
  })
  assert.equal(await flights.join(wanted(digestOf(bytes))).flight.ended, undefined)
  assert.deepEqual(evicted, [])
  assert.deepEqual(await here(store), [...kept, digestOf(bytes)].sort())
})

it('blobs that were not used for longest are evicted first, also after a restart', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const [a, b, c, d] = await keepInTurn(first, 100, 100, 100, 100)
  assert.ok(a && b && c && d)
  await use(first, a)
  await first.close()
  const store = await opened(t, { path })
  await use(store, b)
  const evicted = published(t, 'store.evicted')
  assert.deepEqual(await store.gc({ toBytes: 200, signal }), { blobs: 2, bytes: 200 })
  assert.deepEqual(evicted, [
    { digest: c, size: 100, reason: 'gc' },
    { digest: d, size: 100, reason: 'gc' },
  ])
  assert.deepEqual(await here(store), [a, b].sort())
  assert.equal(store.room().evictedBytes, 200)
  await assert.rejects(stat(new Layout(path).blob(c)), { code: 'ENOENT' })
})

it('the order of eviction is that of a plain list, whatever is stored, used, evicted and restarted', async (t) => {
  const path = await folder(t)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), n: fc.nat(15) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('use' as const), n: fc.nat(15) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('evict' as const), n: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), n: fc.constant(0) }) },
  )
  const bytesOf = (n: number): Buffer => Buffer.alloc(10 + n, n)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      let store = await openStore({ path })
      try {
        await store.gc({ toBytes: 0, signal })
        let list: number[] = []
        const touched = (n: number): void => {
          list = [...list.filter((other) => other !== n), n]
        }
        for (const { do: what, n } of steps) {
          await tick()
          if (what === 'put' && !list.includes(n)) {
            await keep(store.blobs, bytesOf(n))
            touched(n)
          } else if (what === 'use' && list.includes(n)) {
            await use(store, digestOf(bytesOf(n)))
            touched(n)
          } else if (what === 'restart') {
            await store.close()
            store = await openStore({ path })
          } else if (what === 'evict') {
            const left = list.slice(n)
            await store.gc({ toBytes: left.reduce((sum, each) => sum + 10 + each, 0), signal })
            list = left
          }
          const expected = list.map((each) => digestOf(bytesOf(each))).sort()
          assert.deepEqual(await here(store), expected)
        }
      } finally {
        await store.close()
      }
    }),
    runs(4),
  )
})

it('an open blob is not evicted until it is closed', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  const content = await store.blobs.open(a)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [a])
  await content?.close()
  await content?.close()
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [])
})

it('a blob that was served from memory counts as used', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  await tick()
  store.blobs.touch(a)
  await store.gc({ toBytes: 100, signal })
  assert.deepEqual(await here(store), [a])
})

it('peek and facts do not change the order of eviction', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  await tick()
  await (await store.peek(a))?.close()
  await store.gc({ toBytes: 100, signal })
  assert.deepEqual(await here(store), [b])
})

it('blobs are evicted before the manifest that was pulled with them, and then the manifest', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const layer = randomBytes(1000)
  const manifest = await keepManifest(store.blobs, digestOf(layer))
  await tick()
  await keep(store.blobs, layer)
  const { size = 0 } = (await store.blobs.facts(manifest)) ?? {}
  await store.gc({ toBytes: size, signal })
  assert.deepEqual(await here(store), [manifest])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [])
})

it('a pinned manifest retains all that it references, also what is stored later, until it is unpinned', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const early = await keep(first.blobs, randomBytes(1000))
  const late = randomBytes(2000)
  const image = Buffer.from('{"references":"late"}')
  const index = await keepManifest(first.blobs, early, digestOf(image))
  await first.pin(index)
  await first.pin(index)
  await first.close()

  const store = await opened(t, { path })
  const incoming = await store.blobs.begin(wanted(digestOf(image), 'manifest'))
  await feed(incoming, image)
  await incoming.commit({
    mediaType: OCI_MANIFEST,
    origin: 'x',
    references: [digestOf(late)],
    subject: undefined,
  })
  await incoming.close()
  await keep(store.blobs, late)
  const other = await keep(store.blobs, randomBytes(50))
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [early, digestOf(late), digestOf(image), index].sort())
  assert.deepEqual(
    (await all(store.pins())).map(({ digest }) => digest),
    [index],
  )
  assert.deepEqual([await store.isPinned(index), await store.isPinned(early)], [true, false])
  assert.deepEqual(await store.pinsOf(digestOf(late)), [index])
  assert.deepEqual(await store.pinsOf(other), [])
  assert.equal(await store.remove(digestOf(late)), false)

  await store.unpin(index)
  await store.unpin(index)
  assert.deepEqual(await all(store.pins()), [])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [])
})

it('content that two pins retain stays until both are removed', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const base = await keep(store.blobs, randomBytes(1000))
  const one = await keepManifest(store.blobs, base)
  const two = await keepManifest(store.blobs, base)
  await store.pin(one)
  await store.pin(two)
  await store.unpin(one)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [base, two].sort())
  await store.unpin(two)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [])
})

it('a manifest stored under a pinned index is retained with all that it references', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  for (let round = 0; round < 8; round++) {
    const layer = await keep(store.blobs, randomBytes(10))
    const image = Buffer.from(JSON.stringify({ round, layer }))
    const index = await keepManifest(store.blobs, digestOf(image))
    const incoming = await store.blobs.begin(wanted(digestOf(image), 'manifest'))
    await feed(incoming, image)
    const facts = { mediaType: OCI_MANIFEST, origin: 'x', references: [layer], subject: undefined }
    await Promise.all([incoming.commit(facts), store.pin(index)])
    await incoming.close()
    assert.deepEqual(await store.pinsOf(layer), [index])
  }
})

it('a pin on content that is stored later retains all that the content references, also older blobs', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const layer = await keep(store.blobs, randomBytes(1000))
  const image = await keepManifest(store.blobs, layer)
  const bytes = Buffer.from(JSON.stringify({ image }))
  await store.pin(digestOf(bytes))
  const incoming = await store.blobs.begin(wanted(digestOf(bytes), 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'x', references: [image], subject: undefined })
  await incoming.close()
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await here(store), [layer, image, digestOf(bytes)].sort())
})

it('remove drops a blob at once, notifies listeners, and leaves open readers their file', async (t) => {
  const dropped: Digest[] = []
  const store = await opened(t, { path: await folder(t) })
  const unsubscribe = store.onDropped((digest) => dropped.push(digest))
  const bytes = randomBytes(200_000)
  const digest = await keep(store.blobs, bytes)
  const content = await store.blobs.open(digest)
  assert.ok(content)
  const evicted = published(t, 'store.evicted')
  assert.equal(await store.remove(digest), true)
  assert.deepEqual(dropped, [digest])
  assert.equal(evicted[0]?.reason, 'removed')
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(await store.blobs.facts(digest), undefined)
  assert.equal(await store.remove(digest), false)
  assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
  assert.equal(store.room().evictedBytes, 0)
  const read = Buffer.alloc(1000)
  assert.equal(await content.read(read, 199_000), 1000)
  assert.deepEqual(read, bytes.subarray(199_000))
  await content.close()
  await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
  unsubscribe()
  assert.equal(await store.remove(digest), true)
  assert.deepEqual(dropped, [digest], 'the listener is called only until it unsubscribes')
})

it('a store above a lowered limit is evicted in the background, and stays so after a restart', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const digests = await keepInTurn(first, ...Array.from({ length: 20 }, () => 1000))
  await first.close()
  const store = await openStore({ path, maxBytes: { bytes: 10_000 } })
  await store.gc({ signal })
  assert.deepEqual(store.usage(), { bytes: 9_000, blobs: 9 })
  assert.equal(store.room().limitBytes, 10_000)
  await store.close()
  const second = await opened(t, { path })
  assert.deepEqual(await here(second), digests.slice(11).sort())
})

it('the limit can be a share of the filesystem', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { percent: 100 } })
  const { limitBytes } = store.room()
  assert.ok(limitBytes !== undefined && limitBytes > 1e6)
})

it('while everything is evicted and stored again, a reader gets the blob or nothing, never an error', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const blobs = Array.from({ length: 20 }, () => randomBytes(100))
  const failed = published(t, 'verify.failed')
  let isOver = false
  const counts = { found: 0, missed: 0 }
  const read = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const bytes = blobs[n % blobs.length] ?? Buffer.alloc(0)
      const found = await stored(store.blobs, digestOf(bytes))
      await store.blobs.facts(digestOf(bytes))
      if (found !== undefined) assert.deepEqual(found, bytes)
      counts[found === undefined ? 'missed' : 'found'] += 1
    }
  }
  const readers = [read(), read(), read()]
  const isSeen = (): boolean => counts.found > 0 && counts.missed > 0
  for (let round = 0; round < 12 || !isSeen(); round++) {
    await Promise.all(
      blobs.map(async (bytes) => {
        if ((await store.blobs.facts(digestOf(bytes))) === undefined) await keep(store.blobs, bytes)
      }),
    )
    await Promise.all([
      store.gc({ toBytes: 0, signal }),
      ...blobs.slice(0, 5).map((bytes) => store.remove(digestOf(bytes))),
    ])
  }
  isOver = true
  await Promise.all(readers)
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(failed, [])
  assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
})

it('partials of earlier transfers are evicted in order of their last write', async (t) => {
  const path = await folder(t)
  await (await openStore({ path })).close()
  const leave = async (text: string, at: Date): Promise<string> => {
    const left = new Layout(path).partialOf(digestOf(Buffer.from(text)))
    await mkdir(left)
    await writeFile(join(left, 'data'), randomBytes(500))
    const state = { version: 1, kind: 'blob', registry: 'docker.io', name: 'library/alpine' }
    await writeFile(join(left, 'state'), JSON.stringify(state))
    await utimes(join(left, 'data'), at, at)
    return left
  }
  await leave('old', new Date(Date.now() - 3_600_000))
  await leave('young', new Date(Date.now() + 3_600_000))
  const store = await opened(t, { path })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  const names = (): Promise<string[]> => readdir(new Layout(path).partial)
  await store.gc({ toBytes: 700, signal })
  assert.equal((await names()).length, 1)
  assert.equal(store.usage().blobs, 2)
  await store.gc({ toBytes: 600, signal })
  assert.deepEqual(await here(store), [b])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await names(), [])
})

it('after a crash between removal of the file and of its entry, the next start drops the entry', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const [a, b] = await keepInTurn(first, 100, 100)
  assert.ok(a && b)
  await first.close()
  await rm(new Layout(path).blob(a))
  const recovered = published(t, 'store.recovered')
  const store = await opened(t, { path })
  assert.deepEqual([recovered[0]?.dropped, recovered[0]?.adopted], [1, 0])
  assert.deepEqual(await here(store), [b])
  await store.gc({ toBytes: 0, signal })
  await store.close()
  await assertNothingLeft(path)
})

it('a file that a power cut brought back without its entry is adopted, and can be evicted again', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const bytes = randomBytes(100)
  const digest = await keep(first.blobs, bytes)
  await first.gc({ toBytes: 0, signal })
  await first.close()
  await writeFile(new Layout(path).blob(digest), bytes)
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await stored(store.blobs, digest), bytes)
  await store.gc({ toBytes: 0, signal })
  await store.close()
  await assertNothingLeft(path)
})

/** Checks that no key of the index names an evicted blob. */
async function assertNothingLeft(path: string): Promise<void> {
  const level = new Level<string, string>(new Layout(path).index)
  await level.open()
  const keys = await level.keys().all()
  await level.close()
  assert.deepEqual(
    keys.filter((key) => !key.startsWith('repository!')),
    ['idle', 'needed'],
  )
}

it('the quarantine never exceeds its share of the limit', async (t) => {
  const path = await folder(t)
  await (await openStore({ path })).close()
  const { quarantine } = new Layout(path)
  for (const [at, text] of ['a', 'b', 'c'].entries()) {
    const digest = digestOf(Buffer.from(text)).replace(':', '-')
    await writeFile(join(quarantine, `${digest}-${at}`), randomBytes(400))
  }
  await mkdir(join(quarantine, 'index-3'))
  await writeFile(join(quarantine, 'index-3', 'CURRENT'), randomBytes(300))
  await opened(t, { path, maxBytes: { bytes: 15_000 } })
  const left = await readdir(quarantine)
  assert.deepEqual(left.map((name) => name.slice(-2)).sort(), ['-2', '-3'])
})
