import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { Layout, partialName } from '../../../src/store/files/layout.ts'
import { openStore } from '../../../src/store/open.ts'
import { digestOf } from '../../../testkit/memory/memory-store.ts'
import { feed, keep, stored, wanted } from '../../conformance/blob-store.ts'
import { all, folder, opened, published } from '../folder.ts'

const manifestOf = (config: Digest, layer: Digest, subject: Digest): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 1 },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: layer, size: 2 }],
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: 3 },
    }),
  )

/** Makes a store with these blobs, and closes it. */
async function filled(path: string, ...blobs: Uint8Array[]): Promise<Digest[]> {
  const store = await openStore({ path })
  try {
    const digests: Digest[] = []
    for (const bytes of blobs) digests.push(await keep(store.blobs, bytes))
    return digests
  } finally {
    await store.close()
  }
}

/** Writes a file where a commit puts it before it writes the entry. */
async function shelve(path: string, digest: Digest, bytes: Uint8Array): Promise<string> {
  const file = new Layout(path).blob(digest)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
  return file
}

async function leavePartial(path: string, digest: Digest, bytes: Uint8Array): Promise<string> {
  const at = new Layout(path).partialOf(digest)
  await mkdir(at, { recursive: true })
  await writeFile(join(at, 'data'), bytes)
  const state = { version: 1, kind: 'blob', registry: 'docker.io', name: 'library/alpine' }
  await writeFile(join(at, 'state'), JSON.stringify(state))
  return at
}

it('stored blobs are there after a restart, with all facts', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(300_000)
  const first = await openStore({ path })
  const child = digestOf(Buffer.from('child'))
  const subject = digestOf(Buffer.from('subject'))
  const incoming = await first.blobs.begin(wanted(digestOf(bytes), 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'upstream x', references: [child], subject })
  await incoming.close()
  const before = await first.blobs.facts(digestOf(bytes))
  await first.close()
  const second = await opened(t, { path })
  assert.deepEqual(await second.blobs.facts(digestOf(bytes)), before)
  assert.deepEqual(await stored(second.blobs, digestOf(bytes)), bytes)
  assert.deepEqual(await second.references(digestOf(bytes)), [child])
  assert.deepEqual(await second.referrersOf(subject), [digestOf(bytes)])
  assert.deepEqual(await second.repositoriesOf(digestOf(bytes)), [
    { registry: 'docker.io', name: 'library/alpine' },
  ])
})

it('usage and list agree with the stored blobs after stores, replacements and a restart', async (t) => {
  const path = await folder(t)
  const blobs = [randomBytes(100), randomBytes(70_000), randomBytes(5)]
  const digests = await filled(path, ...blobs, blobs[0] ?? Buffer.alloc(0))
  const store = await opened(t, { path })
  assert.deepEqual(store.usage(), { bytes: 70_105, blobs: 3 })
  const listed = (await all(store.list())).map(({ digest }) => digest)
  assert.deepEqual(listed, [...new Set(digests)].sort())
  await keep(store.blobs, randomBytes(10))
  assert.deepEqual(store.usage(), { bytes: 70_115, blobs: 4 })
})

it('the last use of a blob is known after a restart', async (t) => {
  const path = await folder(t)
  const [digest] = await filled(path, randomBytes(10))
  assert.ok(digest)
  const first = await openStore({ path })
  const { storedAt } = (await first.blobs.facts(digest)) ?? { storedAt: 0 }
  while (Date.now() <= storedAt) await new Promise((resolve) => setImmediate(resolve))
  await (await first.blobs.open(digest))?.close()
  const used = (await first.blobs.facts(digest))?.lastUsedAt
  assert.ok(used !== undefined && used > storedAt)
  await first.close()
  const second = await opened(t, { path })
  assert.equal((await second.blobs.facts(digest))?.lastUsedAt, used)
  assert.equal((await all(second.list()))[0]?.lastUsedAt, used)
})

it('after a crash between rename and entry, the file is hashed and adopted', async (t) => {
  const path = await folder(t)
  await filled(path)
  const bytes = randomBytes(9_000_000)
  await shelve(path, digestOf(bytes), bytes)
  // The commit has not removed the partial yet.
  const left = new Layout(path).partialOf(digestOf(bytes))
  await mkdir(left)
  await writeFile(join(left, 'state'), '{}')
  const recovered = published(t, 'store.recovered')
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await stored(store.blobs, digestOf(bytes)), bytes)
  assert.equal((await store.blobs.facts(digestOf(bytes)))?.kind, 'blob')
  assert.deepEqual(store.usage(), { bytes: bytes.length, blobs: 1 })
  assert.equal(recovered[0]?.adopted, 1)
  assert.deepEqual(await readdir(new Layout(path).partial), [])
})

it('after a crash between sync and rename, the partial is resumed and the content stored', async (t) => {
  const path = await folder(t)
  await filled(path)
  const bytes = randomBytes(6_000_000)
  await leavePartial(path, digestOf(bytes), bytes)
  const recovered = published(t, 'store.recovered')
  const store = await opened(t, { path })
  assert.equal(recovered[0]?.partials, 1)
  assert.equal(await store.blobs.open(digestOf(bytes)), undefined)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  assert.equal(incoming.position, bytes.length)
  assert.equal(await incoming.digest(), digestOf(bytes))
  await incoming.commit({ mediaType: undefined, origin: 'x', references: [], subject: undefined })
  await incoming.close()
  assert.deepEqual(await stored(store.blobs, digestOf(bytes)), bytes)
})

it('new bytes may arrive while the resumed partial is still being hashed', async (t) => {
  const path = await folder(t)
  await filled(path)
  const bytes = randomBytes(20_000_000)
  await leavePartial(path, digestOf(bytes), bytes.subarray(0, 15_000_000))
  const store = await opened(t, { path })
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  assert.equal(incoming.position, 15_000_000)
  assert.ok(incoming.written < 15_000_000)
  await feed(incoming, bytes.subarray(15_000_000), 500_000)
  assert.equal(await incoming.digest(), digestOf(bytes))
  await incoming.close()
})

it('an adopted manifest is recognized as a manifest', async (t) => {
  const path = await folder(t)
  await filled(path)
  const [config, layer, subject] = ['c', 'l', 's'].map((text) => digestOf(Buffer.from(text)))
  assert.ok(config && layer && subject)
  const manifest = manifestOf(config, layer, subject)
  const imageConfig = Buffer.from(
    '{"architecture":"amd64","config":{"Cmd":["sh"]},"rootfs":{"type":"layers"}}',
  )
  for (const bytes of [manifest, imageConfig]) await shelve(path, digestOf(bytes), bytes)
  const store = await opened(t, { path })
  await store.recovered
  const facts = await store.blobs.facts(digestOf(manifest))
  assert.equal(facts?.kind, 'manifest')
  assert.equal(facts?.mediaType, OCI_MANIFEST)
  assert.deepEqual(await store.references(digestOf(manifest)), [config, layer])
  assert.deepEqual(await store.referrersOf(subject), [digestOf(manifest)])
  assert.equal((await store.blobs.facts(digestOf(imageConfig)))?.kind, 'blob')
})

it('a file whose digest is not its name is quarantined, not served', async (t) => {
  const path = await folder(t)
  await filled(path)
  const digest = digestOf(Buffer.from('right'))
  await shelve(path, digest, Buffer.from('wrong'))
  const failed = published(t, 'verify.failed')
  const store = await opened(t, { path })
  await store.recovered
  assert.equal(await store.blobs.open(digest), undefined)
  assert.deepEqual(failed, [
    { digest, found: digestOf(Buffer.from('wrong')), source: 'disk', sourceKind: 'disk' },
  ])
  const [aside = ''] = await readdir(new Layout(path).quarantine)
  assert.equal(await readFile(join(path, 'quarantine', aside), 'utf8'), 'wrong')
})

it('an entry whose file is missing is dropped at the start', async (t) => {
  const path = await folder(t)
  const [missing, kept] = await filled(path, randomBytes(1000), randomBytes(2000))
  assert.ok(missing && kept)
  await rm(new Layout(path).blob(missing))
  const recovered = published(t, 'store.recovered')
  const store = await opened(t, { path })
  assert.equal(await store.blobs.facts(missing), undefined)
  assert.equal((await store.blobs.facts(kept))?.size, 2000)
  assert.deepEqual(store.usage(), { bytes: 2000, blobs: 1 })
  assert.equal(recovered[0]?.dropped, 1)
})

it('a blob whose file is deleted while the store is open is dropped, and can be stored again', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(1000)
  const digest = await keep(store.blobs, bytes)
  await rm(new Layout(path).blob(digest))
  const failed = published(t, 'verify.failed')
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(await store.blobs.facts(digest), undefined)
  assert.equal(failed.length, 1)
  assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
  await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
})

it('a truncated file is noticed when it is opened, quarantined, and can be stored again', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(90_000)
  const [digest] = await filled(path, bytes)
  assert.ok(digest)
  await truncate(new Layout(path).blob(digest), 80_000)
  const failed = published(t, 'verify.failed')
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(digest), undefined)
  assert.equal(failed[0]?.sourceKind, 'disk')
  assert.match(failed[0]?.found ?? '', /80000 bytes/)
  assert.equal((await readdir(join(path, 'quarantine'))).length, 1)
  await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
})

it('a symbolic link in place of a blob is not followed', async (t) => {
  const path = await folder(t)
  const bytes = Buffer.from('secret')
  const [digest] = await filled(path, bytes)
  assert.ok(digest)
  const file = new Layout(path).blob(digest)
  await rename(file, join(path, 'elsewhere'))
  await symlink(join(path, 'elsewhere'), file)
  const store = await opened(t, { path })
  assert.equal(await store.blobs.open(digest), undefined)
})

it('partials that are old, stored already, empty or invalid are removed; unknown files stay', async (t) => {
  const path = await folder(t)
  const done = randomBytes(100_000)
  await filled(path, done)
  const { partial } = new Layout(path)
  const old = await leavePartial(path, digestOf(Buffer.from('old')), randomBytes(10))
  await utimes(join(old, 'data'), new Date(), new Date(Date.now() - 25 * 60 * 60 * 1000))
  await leavePartial(path, digestOf(done), done.subarray(0, 70_000))
  await leavePartial(path, digestOf(Buffer.from('empty')), Buffer.alloc(0))
  const senseless = await leavePartial(path, digestOf(Buffer.from('senseless')), randomBytes(10))
  await writeFile(join(senseless, 'state'), '{"version":9}')
  const young = digestOf(Buffer.from('young'))
  await leavePartial(path, young, randomBytes(10))
  await writeFile(join(partial, `${partialName(young)}.draft`), 'half a manif')
  await writeFile(join(partial, 'notes.txt'), 'mine')
  await opened(t, { path })
  assert.deepEqual((await readdir(partial)).sort(), ['notes.txt', partialName(young)])
})

it('a lost index is rebuilt from the blobs', async (t) => {
  const path = await folder(t)
  const blobs = [randomBytes(10), randomBytes(100_000)]
  const digests = await filled(path, ...blobs)
  await rm(new Layout(path).index, { recursive: true })
  const store = await opened(t, { path })
  await store.recovered
  for (const [at, digest] of digests.entries()) assert.deepEqual(await stored(store.blobs, digest), blobs[at])
})

it('an index without CURRENT is repaired, with pins and tags', async (t) => {
  const path = await folder(t)
  const [digest] = await filled(path, randomBytes(10))
  assert.ok(digest)
  const repository = { registry: 'docker.io', name: 'library/alpine' }
  const first = await openStore({ path })
  await first.pin(digest)
  await first.catalog.rememberTag(repository, 'latest', { digest, mediaType: undefined, checkedAt: 1 })
  await first.close()
  await rm(join(new Layout(path).index, 'CURRENT'))
  const mended = published(t, 'store.repaired')
  const second = await opened(t, { path })
  assert.deepEqual(
    mended.map(({ how }) => how),
    ['repaired'],
  )
  assert.ok(await second.isPinned(digest))
  assert.equal((await second.catalog.tag(repository, 'latest'))?.digest, digest)
})

for (const victim of [/^CURRENT$/, /^MANIFEST-/, /\.log$/, /\.ldb$/]) {
  it(`an index in which ${victim} is overwritten is repaired or rebuilt, and no blob is lost`, async (t) => {
    const path = await folder(t)
    const blobs = [randomBytes(10), randomBytes(20), randomBytes(100_000)]
    const digests = await filled(path, ...blobs)
    const { index } = new Layout(path)
    // Opening the index once more turns the log into tables.
    const database = new Level(index)
    await database.open()
    await database.close()
    const names = (await readdir(index)).filter((name) => victim.test(name))
    assert.ok(names.length > 0)
    for (const name of names) await writeFile(join(index, name), randomBytes(600))
    const mended = published(t, 'store.repaired')
    const store = await opened(t, { path })
    await store.recovered
    for (const [at, digest] of digests.entries())
      assert.deepEqual(await stored(store.blobs, digest), blobs[at])
    assert.equal(store.usage().blobs, 3)
    if (!victim.test('1.log')) assert.equal(mended.length, 1)
  })
}

it('an invalid entry is made again from its file', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(500)
  const [digest] = await filled(path, bytes)
  assert.ok(digest)
  const database = new Level(new Layout(path).index)
  await database.put(`blob!${digest}`, '{"size":-1}')
  await database.close()
  const store = await opened(t, { path })
  await store.recovered
  assert.deepEqual(await stored(store.blobs, digest), bytes)
  assert.equal(store.usage().blobs, 1)
})

it('a second store on the same folder is refused, and the first is not disturbed', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const digest = await keep(store.blobs, Buffer.from('x'))
  await assert.rejects(openStore({ path }), {
    code: 'disk',
    message: `${path} is in use by another agent: stop that one, or give this one another folder for its data`,
  })
  assert.deepEqual(await stored(store.blobs, digest), Buffer.from('x'))
})
