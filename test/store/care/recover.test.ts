import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { Level } from 'level'
import { openLanes } from '../../../src/lanes/lane-pool.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, stored, wanted } from '../../conformance/blob-steps.ts'
import { folder, opened, openStore, published } from '../folder.ts'
import { filled, leavePartial } from '../left-files.ts'
import { keepInTurn, listed } from '../stored-blobs.ts'

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

/** Writes a file where a commit puts it before it writes the entry. */
async function putFile(path: string, digest: Digest, bytes: Uint8Array): Promise<string> {
  const file = new Layout(path).blob(digest)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
  return file
}

const { signal } = new AbortController()

/** Checks that no key of the index names an evicted blob. */
async function assertNothingLeft(path: string): Promise<void> {
  const level = new Level<string, string>(new Layout(path).index)
  await level.open()
  const keys = await level.keys().all()
  await level.close()
  assert.deepEqual(
    keys.filter((key) => !key.startsWith('repository!')),
    ['idle', 'journal', 'needed'],
  )
}

it('after a crash between rename and entry, the file is hashed and adopted', async (t) => {
  const path = await folder(t)
  await filled(path)
  const bytes = randomBytes(9_000_000)
  await putFile(path, digestOf(bytes), bytes)
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
  // A lane of its own has to start first, so that it is still hashing when the incoming begins.
  const store = await opened(t, { path, lanes: openLanes() })
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
  for (const bytes of [manifest, imageConfig]) await putFile(path, digestOf(bytes), bytes)
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
  await putFile(path, digest, Buffer.from('wrong'))
  const failed = published(t, 'verify.failed')
  const store = await opened(t, { path })
  await store.recovered
  assert.equal(await store.blobs.open(digest), undefined)
  assert.deepEqual(failed, [
    { digest, found: digestOf(Buffer.from('wrong')), source: 'disk', sourceKind: 'disk' },
  ])
  const [quarantined = ''] = await readdir(new Layout(path).quarantine)
  assert.equal(await readFile(join(path, 'quarantine', quarantined), 'utf8'), 'wrong')
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

it('an entry whose whole folder is missing is dropped, too, and all others stay', async (t) => {
  const path = await folder(t)
  const blobs = Array.from({ length: 20 }, (_, n) => Buffer.from(`blob ${n}`))
  const [gone = '', ...others] = await filled(path, ...blobs)
  const inFolder = (digest: string): string => dirname(new Layout(path).blob(digest as Digest))
  await rm(inFolder(gone), { recursive: true })
  const store = await opened(t, { path })
  const stay = others.filter((digest) => inFolder(digest) !== inFolder(gone))
  assert.deepEqual(await listed(store), [...stay].sort())
  assert.equal(store.usage().blobs, stay.length)
})

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
  assert.deepEqual(await listed(store), [b])
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
