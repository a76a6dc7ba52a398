import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ContentToStore } from '../../../src/import/target/import-target.ts'
import { algorithmOf } from '../../../src/oci/digest.ts'
import { importedTopic } from '../../../src/ports/catalog.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { asDigest, hub, type ImportLab, startLab } from '../import-lab.ts'

const signal = new AbortController().signal
const app = buildImage('app', { layerSizes: [100_000] })
const list = buildIndex('list', ['amd64', 'arm64'])
const repository = hub('acme/app')

function reader(bytes: Uint8Array) {
  let at = 0
  return async (target: Uint8Array) => {
    const piece = bytes.subarray(at, at + target.length)
    target.set(piece)
    at += piece.length
    return piece.length
  }
}

async function put(lab: ImportLab, bytes: Uint8Array, digest: string, more: Partial<ContentToStore> = {}) {
  const algorithm = algorithmOf(asDigest(digest))
  const common = { kind: 'blob', repository, mediaType: undefined, origin: 'a test' } as const
  const content = { ...common, digest: asDigest(digest), algorithm, size: bytes.length, ...more }
  return lab.target.put(content, reader(bytes), { signal })
}

async function putImage(lab: ImportLab, image = app): Promise<void> {
  for (const { bytes, digest } of image.blobs) await put(lab, bytes, digest)
  await put(lab, image.manifest.bytes, image.manifest.digest, { kind: 'manifest' })
}

const nameOf = (digest: string, more = {}) => ({
  repository,
  tag: 'v1',
  root: asDigest(digest),
  referrers: [],
  pin: false,
  ...more,
})

test('content is stored only if it has the digest that it should have, sha512 too', async (t) => {
  const lab = await startLab(t)
  const bytes = Buffer.from('content')
  const sha512 = `sha512:${createHash('sha512').update(bytes).digest('hex')}`
  assert.deepEqual(await put(lab, bytes, sha512), { digest: sha512, size: 7 })
  assert.ok(await lab.isStored(sha512))
  const wrong = `sha256:${'0'.repeat(64)}`
  await assert.rejects(put(lab, bytes, wrong), { code: 'corrupt' })
  assert.equal(await lab.isStored(wrong), false)
  await assert.rejects(put(lab, app.manifest.bytes, wrong, { kind: 'manifest' }), { code: 'corrupt' })
  await assert.rejects(put(lab, bytes, sha512, { kind: 'manifest' }), { code: 'unsupported' })
  assert.deepEqual([...(await lab.target.stored([asDigest(sha512), asDigest(wrong)]))].length, 1)
})

test('an image is named only when all of it is stored', async (t) => {
  const lab = await startLab(t)
  const [config, layer] = app.blobs
  assert.ok(config && layer)
  await put(lab, config.bytes, config.digest)
  await put(lab, app.manifest.bytes, app.manifest.digest, { kind: 'manifest' })
  assert.deepEqual(await lab.target.name(nameOf(app.manifest.digest, { pin: true })), [layer.digest])
  assert.equal(await lab.tagOf(repository, 'v1'), undefined)
  assert.equal(await lab.store.isPinned(asDigest(app.manifest.digest)), false)
  await put(lab, layer.bytes, layer.digest)
  assert.deepEqual(await lab.target.name(nameOf(app.manifest.digest, { pin: true })), [])
  assert.equal(await lab.tagOf(repository, 'v1'), app.manifest.digest)
  assert.ok(await lab.store.isPinned(asDigest(app.manifest.digest)))
  const known = app.blobs.map(({ digest }) => asDigest(digest))
  assert.deepEqual([...(await lab.store.catalog.filterKnown(repository, known))].length, known.length)
})

test('an index is whole with some of its images, but not without any', async (t) => {
  const lab = await startLab(t)
  await put(lab, list.manifest.bytes, list.manifest.digest, { kind: 'manifest' })
  assert.equal((await lab.target.name(nameOf(list.manifest.digest))).length, list.images.length)
  const [image] = list.images
  assert.ok(image)
  await putImage(lab, image)
  assert.deepEqual(await lab.target.name(nameOf(list.manifest.digest)), [])
})

test('a tag says that it was imported, and stays confirmed if upstream has confirmed the same digest', async (t) => {
  const lab = await startLab(t)
  await putImage(lab)
  const digest = asDigest(app.manifest.digest)
  await lab.target.name(nameOf(digest))
  const record = await lab.store.catalog.tag(repository, 'v1')
  assert.ok(record?.importedAt !== undefined && record.importedAt === record.checkedAt)
  await lab.store.catalog.rememberTag(repository, 'v2', { digest, mediaType: undefined, checkedAt: 17 })
  await lab.target.name(nameOf(digest, { tag: 'v2' }))
  const confirmed = await lab.store.catalog.tag(repository, 'v2')
  assert.equal(confirmed?.checkedAt, 17)
  assert.ok((confirmed.importedAt ?? 0) > 17)
  const tags = await lab.store.catalog.cachedList(repository, importedTopic('tags'))
  assert.equal(Buffer.from(tags?.body ?? '').toString(), 'v1\nv2')
})

test('a file is moved into the store', async (t) => {
  const lab = await startLab(t)
  const [, layer] = app.blobs
  assert.ok(layer)
  await mkdir(join(lab.folder, 'cache'))
  const path = join(lab.folder, 'cache', 'layer')
  await writeFile(path, layer.bytes)
  const file = { path, digest: asDigest(layer.digest), repository, origin: 'a test' }
  assert.equal(await lab.target.move(file, { signal }), true)
  assert.ok(await lab.isStored(layer.digest))
})

test('nothing is imported into a hosted repository, where no client would see it', async (t) => {
  const lab = await startLab(t)
  const hosted = hub('hosted/app')
  const refused = {
    code: 'unsupported',
    message: /^docker\.io\/hosted\/app is a hosted repository: push the image/,
  }
  const { bytes, digest } = app.blobs[0] ?? assert.fail()
  await assert.rejects(put(lab, bytes, digest, { repository: hosted }), refused)
  assert.deepEqual(await lab.target.stored([asDigest(digest)]), new Map())
  await putImage(lab)
  await assert.rejects(lab.target.name(nameOf(app.manifest.digest, { repository: hosted })), refused)
})
