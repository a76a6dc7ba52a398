import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Verified } from '../../../src/store/care/scrub.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import type { Store } from '../../../src/store/store.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { all, folder, opened, openStore, published } from '../folder.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

async function flip(path: string, digest: Digest, at: number): Promise<void> {
  const file = new Layout(path).blob(digest)
  const bytes = await readFile(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(file, bytes)
}

async function rotten(store: Store): Promise<Verified[]> {
  return (await all(store.verify({ signal }))).filter(({ ok }) => !ok)
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5))
}

it('verify reads all of every blob and reports intact blobs as right, whatever their size', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const blobs = [Buffer.alloc(0), randomBytes(1), randomBytes(4 * MIB), randomBytes(9 * MIB + 1)]
  const digests = await Promise.all(blobs.map((bytes) => keep(store.blobs, bytes)))
  let read = 0
  const looked = await all(
    store.verify({
      signal,
      onProgress: (bytes) => {
        read += bytes
      },
    }),
  )
  assert.deepEqual(
    looked.map(({ digest }) => digest),
    [...digests].sort(),
  )
  assert.ok(looked.every(({ ok, found }) => ok && found === undefined))
  assert.equal(
    read,
    blobs.reduce((sum, { length }) => sum + length, 0),
  )
  assert.equal((await store.scrub.state()).lastRound?.found, 0)
})

it('rotted blobs are reported, quarantined, dropped, and can be stored again', async (t) => {
  const path = await folder(t)
  const dropped: Digest[] = []
  const store = await opened(t, { path })
  store.onDropped((digest) => dropped.push(digest))
  const failed = published(t, 'verify.failed')
  const [flipped, short, missing, folderInstead, good] = [5 * MIB, 100, 200, 300, 400].map((n) =>
    randomBytes(n),
  )
  assert.ok(flipped && short && missing && folderInstead && good)
  const layout = new Layout(path)
  const digests = new Map<string, Digest>()
  for (const [name, bytes] of Object.entries({ flipped, short, missing, folderInstead, good })) {
    digests.set(name, await keep(store.blobs, bytes))
  }
  const of = (name: string): Digest => digests.get(name) ?? assert.fail(name)
  await flip(path, of('flipped'), 4 * MIB + 17)
  await truncate(layout.blob(of('short')), 99)
  await rm(layout.blob(of('missing')))
  await rm(layout.blob(of('folderInstead')))
  await mkdir(layout.blob(of('folderInstead')))

  const found = new Map((await rotten(store)).map((blob) => [blob.digest, blob]))
  assert.deepEqual([...found.keys()].sort(), [...digests.values()].filter((d) => d !== of('good')).sort())
  assert.match(found.get(of('flipped'))?.found ?? '', /^sha256:[0-9a-f]{64}$/)
  assert.equal(found.get(of('flipped'))?.size, 5 * MIB)
  assert.equal(found.get(of('short'))?.found, '99 bytes instead of 100')
  assert.equal(found.get(of('missing'))?.found, 'no file')
  assert.equal(found.get(of('folderInstead'))?.found, 'not a file')
  assert.deepEqual(failed.map(({ digest }) => digest).sort(), [...found.keys()].sort())
  assert.ok(failed.every(({ sourceKind }) => sourceKind === 'disk'))
  assert.deepEqual([...dropped].sort(), [...found.keys()].sort())
  assert.equal((await readdir(layout.quarantine)).length, 3)

  assert.deepEqual(store.usage().blobs, 1)
  assert.equal(await store.blobs.open(of('flipped')), undefined)
  assert.deepEqual(await stored(store.blobs, of('good')), good)
  await keep(store.blobs, flipped)
  assert.deepEqual(await rotten(store), [])
  assert.equal((await store.scrub.state()).lastRound?.found, 0)
})

it('a file that cannot be read counts as rotted', {
  skip: process.getuid?.() === 0 ? 'root may read everything' : false,
}, async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const digest = await keep(store.blobs, randomBytes(10))
  await chmod(new Layout(path).blob(digest), 0)
  const [found] = await rotten(store)
  assert.match(found?.found ?? '', /^unreadable: /)
})

it('a blob that is removed or replaced during its check is not reported', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const failed = published(t, 'verify.failed')
  const bytes = [randomBytes(9 * MIB), randomBytes(9 * MIB)] as const
  const [removed, replaced] = [await keep(store.blobs, bytes[0]), await keep(store.blobs, bytes[1])]
  await flip(path, removed, 0)
  await flip(path, replaced, 0)
  const file = new Layout(path).blob(replaced)
  let pieces = 0
  const change = (digest: Digest | undefined): void => {
    if (digest === removed) void store.remove(digest)
    if (digest !== replaced) return
    rmSync(file)
    writeFileSync(file, bytes[1])
  }
  const [first, second] = [removed, replaced].sort()
  const looked = await all(
    store.verify({
      signal,
      onProgress: () => {
        pieces += 1
        // Three pieces each: in the middle of them.
        if (pieces === 2) change(first)
        if (pieces === 5) change(second)
      },
    }),
  )
  assert.deepEqual(
    looked.map(({ digest, ok }) => [digest, ok]).filter(([, ok]) => ok !== true),
    [],
  )
  assert.deepEqual(failed, [])
  await until(() => store.usage().blobs === 1)
})

it('verify keeps to its rate, and ends when it is aborted', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  await keep(store.blobs, randomBytes(2 * MIB))
  const before = performance.now()
  await all(store.verify({ signal, bytesPerSecond: 4 * MIB }))
  const took = performance.now() - before
  // Four pieces of 125 ms each: the last need not be waited for, and 100 ms had been saved up.
  assert.ok(took >= 275, `${took} ms`)

  const stop = new AbortController()
  const slow = all(store.verify({ signal: stop.signal, bytesPerSecond: 10 }))
  await until(async () => (await store.scrub.state()).isVerifying)
  stop.abort()
  await assert.rejects(slow, { name: 'AbortError' })
  assert.equal((await store.scrub.state()).isVerifying, false)
})

it('while the disk is idle, the scrub checks all blobs and finds rotted ones', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const digests = [await keep(store.blobs, randomBytes(1000)), await keep(store.blobs, randomBytes(2000))]
  const [bad] = digests
  assert.ok(bad)
  await flip(path, bad, 3)
  let isQuiet = false
  let asked = 0
  const failed = published(t, 'verify.failed')
  store.scrub.start({
    bytesPerSecond: 16 * MIB,
    lookMs: 5,
    isQuiet: () => {
      asked += 1
      return isQuiet
    },
  })
  await until(() => asked > 3)
  assert.equal(store.usage().blobs, 2, 'nothing is checked while the disk is busy')
  isQuiet = true
  await until(async () => (await store.scrub.state()).lastRound !== undefined)
  const state = await store.scrub.state()
  assert.deepEqual(
    failed.map(({ digest }) => digest),
    [bad],
  )
  assert.equal(state.lastRound?.found, 1)
  assert.equal(state.isRunning, false)
})

it('a round of the scrub continues after a restart, and the next round begins only when it is due', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const digests: Digest[] = []
  for (let n = 0; n < 6; n++) digests.push(await keep(first.blobs, randomBytes(1000 + n)))
  digests.sort()
  // After half of the blobs the disk is busy.
  let turns = 0
  first.scrub.start({ bytesPerSecond: 16 * MIB, lookMs: 5, isQuiet: () => ++turns <= 3 })
  await until(() => turns > 4)
  await first.close()
  for (const digest of digests) await flip(path, digest, 0)

  const second = await openStore({ path })
  second.scrub.start({ bytesPerSecond: 16 * MIB, lookMs: 5, isQuiet: () => true })
  await until(async () => (await second.scrub.state()).lastRound !== undefined)
  assert.equal((await second.scrub.state()).lastRound?.found, 3)
  assert.deepEqual(
    (await all(second.list())).map(({ digest }) => digest),
    digests.slice(0, 3),
  )
  await second.close()

  const third = await opened(t, { path })
  let asked = 0
  const isQuiet = (): boolean => {
    asked += 1
    return true
  }
  third.scrub.start({ bytesPerSecond: 16 * MIB, lookMs: 5, isQuiet })
  assert.equal((await rotten(third)).length, 3)
  assert.equal(asked, 0, 'the round before has only just ended')
})

it('the next round begins when it is due', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  await keep(store.blobs, randomBytes(100))
  store.scrub.start({ bytesPerSecond: 16 * MIB, lookMs: 1, everyMs: 1, isQuiet: () => true })
  await until(async () => (await store.scrub.state()).lastRound !== undefined)
  const before = (await store.scrub.state()).lastRound?.endedAt ?? 0
  await until(async () => ((await store.scrub.state()).lastRound?.endedAt ?? 0) > before)
})

it('a store closes at once during a slow scrub, and leaves no thread behind', async (t) => {
  const path = await folder(t)
  const store = await openStore({ path })
  await keep(store.blobs, randomBytes(3 * MIB))
  let isReading = false
  store.scrub.start({
    bytesPerSecond: 1000,
    isQuiet: () => {
      isReading = true
      return true
    },
  })
  await until(() => isReading)
  const verifying = all(store.verify({ signal, bytesPerSecond: 1000 })).then(
    () => 'done',
    (error) => error.name,
  )
  await store.close()
  assert.equal(await verifying, 'AbortError')
})
