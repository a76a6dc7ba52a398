import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Digest } from '../../../src/oci/digest.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { folder, opened, openStore, published } from '../folder.ts'
import { keepInTurn, keepManifest, listed, tick } from '../stored-blobs.ts'

const { signal } = new AbortController()

async function use(store: Store, digest: Digest): Promise<void> {
  await tick()
  await (await store.blobs.open(digest))?.close()
}

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
  assert.deepEqual(await listed(store), [a, b].sort())
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
          assert.deepEqual(await listed(store), expected)
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
  assert.deepEqual(await listed(store), [a])
  await content?.close()
  await content?.close()
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [])
})

it('a blob that was served from memory counts as used', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  await tick()
  store.blobs.touch(a)
  await store.gc({ toBytes: 100, signal })
  assert.deepEqual(await listed(store), [a])
})

it('peek and facts do not change the order of eviction', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const [a, b] = await keepInTurn(store, 100, 100)
  assert.ok(a && b)
  await tick()
  await (await store.peek(a))?.close()
  await store.gc({ toBytes: 100, signal })
  assert.deepEqual(await listed(store), [b])
})

it('blobs are evicted before the manifest that was pulled with them, and then the manifest', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const layer = randomBytes(1000)
  const manifest = await keepManifest(store.blobs, digestOf(layer))
  await tick()
  await keep(store.blobs, layer)
  const { size = 0 } = (await store.blobs.facts(manifest)) ?? {}
  await store.gc({ toBytes: size, signal })
  assert.deepEqual(await listed(store), [manifest])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [])
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
  assert.deepEqual(await listed(second), digests.slice(11).sort())
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
      // A blob that is not stored may be known without a read of the disk: the others must have a turn.
      if (found === undefined) await turn()
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
  assert.deepEqual(await listed(store), [b])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await names(), [])
})
