import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BUNDLE_FILE } from '../../../src/oci/bundle.ts'
import { importedTopic } from '../../../src/ports/catalog.ts'
import { BUILDKIT_ARCHIVE, BUILDKIT_IMAGE } from '../../../testkit/registries/buildkit-archive.ts'
import { buildImage, buildIndex, type Image, type Index } from '../../../testkit/registries/image.ts'
import {
  type Files,
  layoutFiles,
  partsOf,
  writeArchive,
  writeFiles,
} from '../../../testkit/registries/image-folders.ts'
import { asDigest, hub, type ImportLab, startLab } from '../import-lab.ts'

const first = buildImage('first')
const second = buildImage('second')
const list = buildIndex('list', ['amd64', 'arm64'])

/** A bundle of an image without the contents in `without`. */
function bundleOf(name: string, image: Image | Index, without: readonly string[], change = {}): Files {
  const files = layoutFiles({ [name]: image })
  const contents = partsOf(image).map(({ digest, bytes }) => {
    const included = !without.includes(digest)
    if (!included) files.delete(`blobs/${digest.replace(':', '/')}`)
    return { digest, size: bytes.length, included }
  })
  const bundle = { leatBundle: 1, images: [{ name, digest: image.manifest.digest }], contents, ...change }
  return files.set(BUNDLE_FILE, Buffer.from(JSON.stringify(bundle)))
}

async function importOf(lab: ImportLab, files: Files) {
  const rest = join(lab.folder, 'bundle.tar')
  await writeArchive(rest, files)
  return lab.run({ transport: 'oci-archive', rest })
}

test('what a real BuildKit has written is imported with its provenance and its layers of zstd', async (t) => {
  const lab = await startLab(t)
  const { images, done, leftOut } = await lab.run({ transport: 'oci-archive', rest: BUILDKIT_ARCHIVE })
  assert.deepEqual([images.length, done.failed, leftOut], [1, 0, []])
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), BUILDKIT_IMAGE.index)
  assert.ok(await lab.isStored(BUILDKIT_IMAGE.layer))
  assert.equal((await lab.store.references(asDigest(BUILDKIT_IMAGE.index))).length, BUILDKIT_IMAGE.manifests)
  // The index, four manifests with a config each, the layer, and two statements.
  assert.equal(lab.store.usage().blobs, 12)
})

test('a bundle without what is stored here makes its image whole', async (t) => {
  const lab = await startLab(t)
  const [base] = first.blobs.slice(1)
  assert.ok(base)
  const bundle = bundleOf('acme/app:v2', first, [base.digest])
  const { images, done } = await importOf(lab, bundle)
  assert.equal(done.failed, 1)
  const error = images[0]?.error ?? ''
  assert.ok(
    error.includes(`the layer ${base.digest}`) && /Import the bundles before this one/.test(error),
    error,
  )
  assert.equal(await lab.tagOf(hub('acme/app'), 'v2'), undefined, 'half an image has no tag')
  await importOf(lab, bundleOf('acme/app:v1', first, []))
  assert.equal((await importOf(lab, bundle)).done.failed, 0)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v2'), first.manifest.digest)
})

test('an image of an index that a bundle lists and leaves out is missed, unlike one that a layout lacks', async (t) => {
  const lab = await startLab(t)
  const [, arm] = list.images
  assert.ok(arm)
  const without = partsOf(arm).map(({ digest }) => digest)
  const { images } = await importOf(lab, bundleOf('acme/list:v1', list, without))
  assert.ok(images[0]?.error?.includes(`the manifest ${arm.manifest.digest}`), String(images[0]?.error))
  const layout = bundleOf('acme/list:v1', list, without)
  layout.delete(BUNDLE_FILE)
  assert.equal((await importOf(lab, layout)).done.failed, 0)
})

test('a bundle that was altered, cut short or made by a newer agent is refused, and changes nothing', async (t) => {
  const lab = await startLab(t)
  const lacking = bundleOf('acme/app:v1', first, [])
  lacking.delete(`blobs/${first.blobs[0]?.digest.replace(':', '/')}`)
  await assert.rejects(
    importOf(lab, lacking),
    /bundle\.tar was altered: it has nothing where it lists sha256:/,
  )
  await assert.rejects(importOf(lab, bundleOf('acme/app:v1', first, [], { leatBundle: 2 })), /version 2/)
  await assert.rejects(importOf(lab, bundleOf('acme/app:v1', first, [], { contents: 1 })), /unusable/)
  const rest = join(lab.folder, 'bundle.tar')
  await writeArchive(rest, bundleOf('acme/app:v1', first, []))
  await truncate(rest, 10_000)
  await assert.rejects(lab.run({ transport: 'oci-archive', rest }), /bundle\.tar cannot be read .*cut short/)
  assert.equal(lab.store.usage().blobs, 0)
})

test('a layout of a newer version, or without an index, is refused', async (t) => {
  const lab = await startLab(t)
  const files = layoutFiles({ 'acme/app:v1': first }).set(
    'oci-layout',
    Buffer.from('{"imageLayoutVersion":"2.0.0"}'),
  )
  await assert.rejects(importOf(lab, files), /version 2\.0\.0/)
  files.delete('index.json')
  await assert.rejects(importOf(lab, files), /has no index\.json/)
})

test('an image is chosen by its tag or its whole name', async (t) => {
  const lab = await startLab(t)
  const path = join(lab.folder, 'layout')
  await writeFiles(path, layoutFiles({ 'acme/app:v1': first, 'acme/app:v2': second }))
  await lab.run({ transport: 'oci', rest: `${path}:acme/app:v2` })
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined)
  await lab.run({ transport: 'oci', rest: `${path}:v1` })
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), first.manifest.digest)
  await assert.rejects(lab.run({ transport: 'oci', rest: `${path}:v3` }), /has no image v3/)
})

test('an image whose name has a digest is known by that only', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'layout')
  const { digest } = first.manifest
  await writeFiles(rest, layoutFiles({ [`registry.test/acme/app@${digest}`]: first }))
  const { images } = await lab.run({ transport: 'oci', rest })
  assert.deepEqual([images[0]?.image, images[0]?.error], [`registry.test/acme/app@${digest}`, null])
  const repository = { registry: 'registry.test', name: 'acme/app' }
  assert.deepEqual(await lab.store.catalog.filterKnown(repository, [asDigest(digest)]), [digest])
})

test('referrers are stored if they are wanted, and listed without upstream', async (t) => {
  const lab = await startLab(t)
  const files = layoutFiles({ 'acme/app:v1': first })
  const config = Buffer.from('{}')
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const add = (bytes: Buffer) => {
    files.set(`blobs/${digestOf(bytes).replace(':', '/')}`, bytes)
    return { digest: digestOf(bytes), size: bytes.length }
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const signature = add(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType,
        artifactType: 'application/vnd.test.signature',
        config: { mediaType: 'application/vnd.oci.empty.v1+json', ...add(config) },
        layers: [],
        subject: { mediaType, digest: first.manifest.digest, size: first.manifest.bytes.length },
      }),
    ),
  )
  const index = JSON.parse(Buffer.from(files.get('index.json') ?? '').toString())
  index.manifests.push({ mediaType, ...signature })
  files.set('index.json', Buffer.from(JSON.stringify(index)))
  const rest = join(lab.folder, 'signed')
  await writeFiles(rest, files)
  await lab.run({ transport: 'oci', rest })
  assert.equal(await lab.isStored(signature.digest), false)
  const { images } = await lab.run({ transport: 'oci', rest }, { referrers: true, pin: true })
  assert.equal(images[0]?.referrers, 1)
  assert.ok(await lab.store.isPinned(asDigest(signature.digest)))
  const topic = importedTopic(`referrers/${first.manifest.digest}`)
  const listed = await lab.store.catalog.cachedList(hub('acme/app'), topic)
  const [referrer] = JSON.parse(Buffer.from(listed?.body ?? '').toString()).manifests
  assert.equal(referrer.digest, signature.digest)
  assert.equal(referrer.artifactType, 'application/vnd.test.signature')
})
