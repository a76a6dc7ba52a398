import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parsePlatform } from '../../src/oci/platform.ts'
import { buildImage, buildIndex } from '../../testkit/registries/image.ts'
import {
  layoutFiles,
  partsOf,
  skopeoFiles,
  writeArchive,
  writeFiles,
} from '../../testkit/registries/image-folders.ts'
import { asDigest, hub, runInto, startLab } from './import-lab.ts'

const app = buildImage('app')
const list = buildIndex('list', ['amd64', 'arm64'])
const blobOf = (folder: string, digest: string) => join(folder, 'blobs', digest.replace(':', '/'))

test('all images of a layout are stored under their names, with all that they consist of', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app, 'ghcr.io/acme/list:v2': list }))
  const { images, done } = await lab.run({ transport: 'oci', rest })
  assert.deepEqual(
    images.map(({ image, error }) => [image, error]),
    [
      ['docker.io/acme/app:v1', null],
      ['ghcr.io/acme/list:v2', null],
    ],
  )
  assert.deepEqual([done.images, done.failed, done.leftOut, done.hereBytes], [2, 0, 0, 0])
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), app.manifest.digest)
  for (const { digest } of [...partsOf(app), ...partsOf(list)]) assert.ok(await lab.isStored(digest))
})

test('what is stored already is not read again', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app }))
  await lab.run({ transport: 'oci', rest })
  for (const { digest } of partsOf(app)) await unlink(blobOf(rest, digest))
  const { done } = await lab.run({ transport: 'oci', rest })
  assert.equal(done.failed, 0)
  assert.equal(done.hereBytes, done.bytes)
})

test('an import that was interrupted goes on with the contents that are not stored yet', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app }))
  const stopping = new AbortController()
  const target: typeof lab.target = Object.assign(Object.create(lab.target), {
    put: async (...args: Parameters<typeof lab.target.put>) => {
      const written = await lab.target.put(...args)
      stopping.abort(new Error('interrupted'))
      return written
    },
    stored: lab.target.stored.bind(lab.target),
    manifest: lab.target.manifest.bind(lab.target),
  })
  const place = { transport: 'oci', rest } as const
  await assert.rejects(runInto(target, place, {}, undefined, stopping.signal), /interrupted/)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined, 'half an image has no name')
  const { done } = await lab.run(place)
  assert.equal(done.failed, 0)
  assert.ok(done.hereBytes > 0, 'the first content was stored')
})

for (const damage of ['shorter', 'altered', 'missing'] as const) {
  test(`a file that is ${damage} is named, its image gets no tag, and the others are stored`, async (t) => {
    const lab = await startLab(t)
    const rest = join(lab.folder, 'layout')
    await writeFiles(rest, layoutFiles({ 'acme/app:v1': app, 'acme/list:v2': list }))
    const layer = app.blobs[1] ?? assert.fail('the image has layers')
    const file = blobOf(rest, layer.digest)
    if (damage === 'shorter') await truncate(file, 100)
    else if (damage === 'altered') await writeFile(file, Buffer.alloc(layer.bytes.length))
    else await unlink(file)
    const { images, leftOut, done } = await lab.run({ transport: 'oci', rest })
    assert.deepEqual([done.images, done.failed], [2, 1])
    assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined)
    assert.equal(await lab.tagOf(hub('acme/list'), 'v2'), list.manifest.digest)
    assert.equal(await lab.isStored(layer.digest), false)
    const [failed] = images
    if (damage === 'missing') assert.match(failed?.error ?? '', new RegExp(`the layer ${layer.digest}`))
    else {
      assert.equal(leftOut[0]?.file, file)
      assert.match(failed?.error ?? '', /is left out/)
    }
  })
}

test('a manifest that is altered is named by its file', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app }))
  await writeFile(blobOf(rest, app.manifest.digest), '{}')
  const { leftOut, done } = await lab.run({ transport: 'oci', rest })
  assert.equal(leftOut[0]?.file, blobOf(rest, app.manifest.digest))
  assert.equal(done.failed, 1)
})

test('of an index only the wanted platforms are stored, or all that the source has', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout.tar')
  await writeArchive(rest, layoutFiles({ 'acme/list:v2': list }))
  const wanted = parsePlatform('linux/arm64')
  assert.ok(wanted.ok)
  const selection = { platforms: [wanted.value], isExplicit: true }
  const { done } = await lab.run({ transport: 'oci-archive', rest }, { selection })
  assert.equal(done.failed, 0)
  const stored = await Promise.all(list.images.map(({ manifest }) => lab.isStored(manifest.digest)))
  assert.deepEqual(stored, [false, true])
  const none = parsePlatform('linux/s390x')
  assert.ok(none.ok)
  const missing = { platforms: [none.value], isExplicit: true }
  const { images } = await lab.run({ transport: 'oci-archive', rest }, { selection: missing })
  assert.match(images[0]?.error ?? '', /it has no image for linux\/s390x/)
})

test('an image is named by --as, which names one image only', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app, 'acme/list:v2': list }))
  const as = { repository: { registry: 'quay.io', name: 'other/name' }, tag: 'v9' }
  await assert.rejects(lab.run({ transport: 'oci', rest }, { as }), /names one image/)
  await lab.run({ transport: 'oci', rest: `${rest}:v1` }, { as, pin: true })
  assert.equal(await lab.tagOf(as.repository, 'v9'), app.manifest.digest)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined)
  assert.ok(await lab.store.isPinned(asDigest(app.manifest.digest)))
})

test('of two images under one name the first one is imported, and a sentence tells of the other one', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'tree')
  const other = buildImage('other')
  await writeFiles(join(rest, 'alpine/3'), skopeoFiles(app))
  await writeFiles(join(rest, 'library/alpine/3'), skopeoFiles(other))
  const { images, done } = await lab.run({ transport: 'dir', rest })
  assert.deepEqual(
    images.map(({ error }) => error),
    [
      null,
      `docker.io/library/alpine:3 is not imported: dir:${rest} has two images of this name, ${app.manifest.digest} and ${other.manifest.digest}. The first one counts; copy the other one under another name.`,
    ],
  )
  assert.equal(done.failed, 1)
  assert.equal(await lab.tagOf(hub('library/alpine'), '3'), app.manifest.digest)
  await writeFiles(join(rest, 'docker.io/library/alpine/3'), skopeoFiles(app))
  await rm(join(rest, 'library'), { recursive: true })
  assert.equal((await lab.run({ transport: 'dir', rest })).done.failed, 0)
})

test('a store without room says so, and names no image', async (t) => {
  const lab = await startLab(t, 100_000)
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app }))
  const { images, done } = await lab.run({ transport: 'oci', rest })
  assert.equal(done.failed, 1)
  assert.match(images[0]?.error ?? '', /room/)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined)
})

test('contents with sha512 digests are verified by them, also a manifest', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  const files = layoutFiles({})
  const add = (bytes: Buffer) => {
    const hex = createHash('sha512').update(bytes).digest('hex')
    files.set(`blobs/sha512/${hex}`, bytes)
    return { digest: `sha512:${hex}`, size: bytes.length }
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...add(Buffer.from('{}')) }
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', ...add(Buffer.alloc(100_000, 'x')) }
  const root = add(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] })))
  const annotations = { 'org.opencontainers.image.ref.name': 'acme/app:v1' }
  const index = { schemaVersion: 2, manifests: [{ mediaType, ...root, annotations }] }
  files.set('index.json', Buffer.from(JSON.stringify(index)))
  await writeFiles(rest, files)
  await lab.run({ transport: 'oci', rest })
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), root.digest)
  assert.ok(await lab.isStored(layer.digest))
  const other = await startLab(t)
  await writeFile(join(rest, 'blobs', layer.digest.replace(':', '/')), Buffer.alloc(100_000, 'y'))
  const { leftOut } = await other.run({ transport: 'oci', rest })
  assert.match(leftOut[0]?.error ?? '', /its digest is sha512:/)
})
