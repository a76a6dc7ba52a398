import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, rmdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { keysUnder } from '../../../src/store/database/database.ts'
import { openDatabase } from '../../../src/store/database/open-database.ts'
import { isRepairMarked } from '../../../src/store/database/repair-mark.ts'
import { ResilientLevel } from '../../../src/store/database/resilient-level.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { encodeLink } from '../../../src/store/index/hosted/hosted-link.ts'
import { encodeTag } from '../../../src/store/index/hosted/hosted-tag.ts'
import { hostedTagKey, linkedKey, linkKey } from '../../../src/store/index/hosted/keys.ts'
import { readJournal } from '../../../src/store/journal/read-journal.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { stored } from '../../conformance/blob-steps.ts'
import { hostedLab, imageOf, pushBlob, pushImage, pushManifest, TEAM } from '../../hosted/lab.ts'
import { all, folder, opened, openStore, published } from '../folder.ts'

const APP: Repository = TEAM

/** What clients can see of a repository. */
async function hostedIn(store: Store) {
  const { catalog } = store.hosted
  const links = (await all(catalog.links(APP))).map(({ linkedAt: _, ...link }) => link)
  const tags = (await all(catalog.tags(APP))).map(({ pulledAt: _, ...tag }) => tag)
  const contents = new Map<string, Buffer | undefined>()
  for (const { digest } of links) contents.set(digest, await stored(store.blobs, digest))
  return { links, tags, contents, usage: store.hostedUsage() }
}

/** A folder in which images were pushed, moved and deleted, and what is hosted in it. */
async function pushedFolder(t: TestContext) {
  const path = await folder(t)
  const lab = await hostedLab(t, { path })
  const { config } = await pushImage(lab.registry, 'a', { tags: ['v1', 'moved', 'gone'] })
  await pushImage(lab.registry, 'b', { tags: ['moved'] })
  const { image } = await pushImage(lab.registry, 'deleted', { tags: ['deleted'] })
  await lab.registry.deleteTag(APP, 'gone')
  await lab.registry.deleteManifest(APP, image)
  const signature = imageOf({ config, layers: [], subject: image })
  await pushManifest(lab.registry, signature)
  const large = imageOf({ config, layers: [], annotations: { long: 'x'.repeat(100_000) } })
  await pushManifest(lab.registry, large, { tags: ['large'] })
  await pushBlob(lab.registry, randomBytes(200_000))
  const hosted = await hostedIn(lab.store)
  assert.ok([...hosted.contents.values()].every((bytes) => bytes !== undefined))
  return { path, store: lab.store, hosted, image, signature: digestOf(signature) }
}

async function removeTables(path: string): Promise<void> {
  for (const name of await readdir(join(path, 'index')))
    if (/\.(?:ldb|log)$|^(?:MANIFEST|CURRENT)/.test(name)) await truncate(join(path, 'index', name), 0)
}

/** Changes an index that no agent has open. */
async function changeIndex(path: string, change: (database: ResilientLevel) => Promise<void>): Promise<void> {
  const database = new ResilientLevel(join(path, 'index'))
  await database.open()
  await change(database)
  await database.close()
}

/** The next start must repair the index, which loses nothing by that. */
function damage(path: string): Promise<void> {
  return rm(join(path, 'index', 'CURRENT'))
}

test('what is hosted is there after the index was lost, with small manifests and referrers', async (t) => {
  const { path, store: first, hosted, image, signature } = await pushedFolder(t)
  await first.close()
  await rm(join(path, 'index'), { recursive: true })
  const lost = published(t, 'hosted.lost')
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await hostedIn(store), hosted)
  assert.deepEqual(await store.referrersOf(image), [signature])
  assert.deepEqual(lost, [])
  // A rule about pulls must not take the tags for never pulled.
  assert.ok(((await store.hosted.catalog.tag(APP, 'v1'))?.pulledAt ?? 0) > Date.now() - 60_000)
})

test('what is hosted is there after a damaged index was mended', async (t) => {
  const { path, store: first, hosted } = await pushedFolder(t)
  await first.close()
  await removeTables(path)
  const repaired = published(t, 'store.repaired')
  const store = await opened(t, { path })
  await store.recovered
  assert.equal(repaired.length, 1)
  assert.deepEqual(await hostedIn(store), hosted)
  await store.close()
  // The journal is whole again, and serves a second time.
  await rm(join(path, 'index'), { recursive: true })
  const again = await opened(t, { path })
  await again.recovered
  assert.deepEqual(await hostedIn(again), hosted)
})

test('a journal that the last run has not ended is written again from the index', async (t) => {
  const { path, store: first, hosted } = await pushedFolder(t)
  await first.close()
  const journal = join(path, 'hosted')
  const [whole, text] = [(await all(readJournal(journal))).length, await readFile(journal, 'utf8')]
  assert.ok(whole > 0)
  // The agent starts, and is killed: the index says that the journal was open, and the last lines may be missing.
  await changeIndex(path, (database) => database.put('journal', 'open'))
  await writeFile(journal, text.slice(0, 100))
  const second = await opened(t, { path })
  while ((await all(readJournal(journal))).length < hosted.links.length + hosted.tags.length)
    await new Promise((resolve) => setImmediate(resolve))
  await second.close()
  await rm(join(path, 'index'), { recursive: true })
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await hostedIn(store), hosted)
})

test('a small manifest in the journal that is not what its digest says does not come back', async (t) => {
  const { path, store: first, signature } = await pushedFolder(t)
  await first.close()
  const journal = join(path, 'hosted')
  const lines = (await readFile(journal, 'utf8')).split('\n')
  const wrong = lines.map((line) =>
    line.includes(signature)
      ? JSON.stringify({ ...JSON.parse(line), bytes: Buffer.from('{}').toString('base64') })
      : line,
  )
  await writeFile(journal, wrong.join('\n'))
  await rm(join(path, 'index'), { recursive: true })
  const lost = published(t, 'hosted.lost')
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(signature), undefined)
  assert.deepEqual(lost, [{ digest: signature, repositories: [APP] }])
})

test('a recovery that was interrupted is repeated by the next start', async (t) => {
  const { path, store: first, hosted } = await pushedFolder(t)
  await first.close()
  await changeIndex(path, async (database) => {
    for (const kind of ['link', 'linked', 'hosted', 'pulled'])
      for (const key of await database.keys(keysUnder(kind)).all()) await database.del(key)
  })
  await damage(path)
  // The start repairs the index and ends while it reads the journal.
  const journal = join(path, 'hosted')
  await rename(journal, `${journal}-aside`)
  await mkdir(journal)
  const repaired = published(t, 'store.repaired')
  await assert.rejects(openStore({ path }), { code: 'disk' })
  assert.equal(repaired.length, 1)
  await rmdir(journal)
  await rename(`${journal}-aside`, journal)
  const store = await opened(t, { path })
  await store.recovered
  assert.equal(repaired.length, 1)
  assert.deepEqual(await hostedIn(store), hosted)
})

for (const [what, change] of [
  ['lost', (database, key) => database.del(key)],
  ['damaged', (database, key) => database.put(key, '{}')],
] satisfies [string, (database: ResilientLevel, key: string) => Promise<void>][]) {
  test(`a small manifest comes back if the index has its entry and its bytes are ${what}`, async (t) => {
    const { path, store: first, hosted, signature } = await pushedFolder(t)
    await first.close()
    await changeIndex(path, (database) => change(database, `bytes!${signature}`))
    await damage(path)
    const store = await opened(t, { path })
    await store.recovered
    assert.deepEqual(await hostedIn(store), hosted)
  })
}

test('what a repaired index has that is newer than the journal stays', async (t) => {
  const { path, store: first } = await pushedFolder(t)
  await first.close()
  const journal = join(path, 'hosted')
  const older = await readFile(journal)
  const lab = await hostedLab(t, { path })
  await pushImage(lab.registry, 'c', { tags: ['moved', 'gone'] })
  const { image } = await pushImage(lab.registry, 'deleted', { tags: ['deleted'] })
  const hosted = await hostedIn(lab.store)
  await lab.store.close()
  assert.ok(hosted.links.some(({ digest }) => digest === image))
  await writeFile(journal, older)
  await damage(path)
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await hostedIn(store), hosted)
})

test('links and tags that a repair has brought back are removed again, and older tags are replaced', async (t) => {
  const { path, store: first, hosted, image } = await pushedFolder(t)
  await first.close()
  const old = encodeTag({ digest: image, mediaType: undefined, pushedAt: 1 })
  await changeIndex(path, async (database) => {
    const link = encodeLink({ kind: 'manifest', mediaType: undefined, linkedAt: 1 })
    await database.put(linkKey(APP, image), link)
    await database.put(linkedKey(image, APP), '')
    for (const tag of ['deleted', 'gone', 'moved']) await database.put(hostedTagKey(APP, tag), old)
  })
  await damage(path)
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await hostedIn(store), hosted)
})

test('what is hosted comes back although the start that has repaired the index ended before that', async (t) => {
  const { path, store: first, hosted } = await pushedFolder(t)
  await first.close()
  let state: string | undefined
  // Opening the index turns its log into a table.
  await changeIndex(path, async (database) => {
    state = await database.get('journal')
  })
  assert.match(state ?? '', /^\d+$/, 'the journal is complete')
  // What is hosted is in the tables, and that the journal is complete also in the log.
  await changeIndex(path, (database) => database.put('journal', state ?? ''))
  for (const name of await readdir(join(path, 'index')))
    if (name.endsWith('.ldb') || name === 'CURRENT') await truncate(join(path, 'index', name), 0)
  const layout = new Layout(path)
  const { database, isMended } = await openDatabase(layout)
  assert.ok(isMended)
  assert.equal(await database.get('journal'), state, 'the repaired index says that the journal is complete')
  await database.close()

  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await hostedIn(store), hosted)
  assert.equal(await isRepairMarked(layout), false)
})
