import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatHeader } from '../../../src/lib/tar/header.ts'
import { childrenOf, parseManifest } from '../../../src/oci/manifest.ts'
import { BUILDKIT_ARCHIVE, BUILDKIT_IMAGE } from '../../../testkit/registries/buildkit-archive.ts'
import { buildImage, buildIndex, type Image, type Index } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeArchive, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { hub, open, openSource, readWhole, tagOf, temporaryFolder } from './files.ts'

const signal = new AbortController().signal
const app = buildImage('app')
const list = buildIndex('list')

/** The header of one entry of any type, without its content. */
function tarHeader(entry: { path: string; type?: string; size?: number; link?: string }): Buffer {
  const { path, type = '0', size = 0, link = '' } = entry
  const header = Buffer.from(formatHeader(path, type, size))
  header.write(link, 157)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

type Images = Readonly<Record<string, Image | Index>>

async function layoutAt(t: TestContext, form: 'folder' | 'archive', images: Images): Promise<string> {
  const path = join(await temporaryFolder(t), form === 'folder' ? 'layout' : 'layout.tar')
  await (form === 'folder' ? writeFiles(path, layoutFiles(images)) : writeArchive(path, layoutFiles(images)))
  return path
}

for (const form of ['folder', 'archive'] as const) {
  test(`every content of the images in a layout (${form}) is served, by tag and by digest`, async (t) => {
    const path = await layoutAt(t, form, { 'acme/app:v1': app, 'ghcr.io/acme/list:v2': list })
    const source = openSource(t, { from: { kind: 'oci', path } })
    const other = { registry: 'ghcr.io', name: 'acme/list' }
    assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
    assert.equal(await tagOf(source, other, 'v2'), list.manifest.digest)
    assert.deepEqual(await source.tags(other, { signal }), ['v2'])
    for (const [repository, image] of [
      [hub('acme/app'), app],
      [other, list],
    ] as const) {
      for (const { digest, bytes } of partsOf(image)) {
        assert.deepEqual(await readWhole(await open(source, repository, digest)), bytes)
      }
    }
  })

  test(`a content is served only under the repositories of its images (${form})`, async (t) => {
    const path = await layoutAt(t, form, { 'acme/app:v1': app, 'acme/list:v2': list })
    const source = openSource(t, { from: { kind: 'oci', path } })
    const [blob] = app.blobs
    assert.equal(await open(source, hub('acme/list'), blob?.digest ?? ''), undefined)
    assert.equal(await tagOf(source, hub('acme/app'), 'v2'), undefined)
  })
}

test('what a real BuildKit has written is served as it is', async (t) => {
  const source = openSource(t, { from: { kind: 'oci', path: BUILDKIT_ARCHIVE } })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), BUILDKIT_IMAGE.index)
  const queue: string[] = [BUILDKIT_IMAGE.index]
  const served = new Set<string>()
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    const bytes = await readWhole(await open(source, hub('acme/app'), digest))
    assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest)
    served.add(digest)
    const manifest = parseManifest(bytes)
    if (manifest.ok) queue.push(...childrenOf(manifest.value).map((child) => String(child.digest)))
  }
  assert.equal(served.size, 12)
  assert.ok(served.has(BUILDKIT_IMAGE.layer))
})

test('an index is told from other images by its digest and the configs of all its images', async (t) => {
  const path = await layoutAt(t, 'folder', { 'acme/list:v1': list, 'acme/list:v2': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  const found = await source.identify(hub('acme/list'), 'v1', { signal })
  assert.equal(found?.manifest, list.manifest.digest)
  const configs = list.images.map(({ blobs }) => String(blobs[0]?.digest))
  assert.deepEqual([...(found?.configs ?? [])].sort(), configs.sort())
  assert.equal(await source.identify(hub('acme/list'), 'v3', { signal }), undefined)
})

test('an image that is named by its digest is served by it', async (t) => {
  const path = await layoutAt(t, 'folder', { [`docker.io/acme/app@${app.manifest.digest}`]: app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  for (const { digest, bytes } of partsOf(app)) {
    assert.deepEqual(await readWhole(await open(source, hub('acme/app'), digest)), bytes)
  }
  assert.deepEqual(await source.tags(hub('acme/app'), { signal }), [])
})

test('images that have only a tag are called after the layout', async (t) => {
  const path = await layoutAt(t, 'archive', { v1: app })
  const source = openSource(t, { from: { kind: 'oci', path }, namePrefix: 'base', registry: 'reg.test' })
  assert.equal(await tagOf(source, { registry: 'reg.test', name: 'base/layout' }, 'v1'), app.manifest.digest)
})

test('the only image of a layout without names is the latest one', async (t) => {
  const path = await layoutAt(t, 'folder', { '': app })
  assert.equal(
    await tagOf(openSource(t, { from: { kind: 'oci', path } }), hub('library/layout'), 'latest'),
    app.manifest.digest,
  )
})

test('of two images under one name the first one is served', async (t) => {
  const path = join(await temporaryFolder(t), 'layout')
  const files = layoutFiles({ 'acme/app:v1': buildImage('first'), 'acme/app:v2': buildImage('second') })
  const index = Buffer.from(files.get('index.json') ?? '').toString()
  await writeFiles(path, files.set('index.json', Buffer.from(index.replace('acme/app:v2', 'acme/app:v1'))))
  const source = openSource(t, { from: { kind: 'oci', path } })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), buildImage('first').manifest.digest)
})

test('an image that another program adds to the layout is there at once, and one that it removes is gone', async (t) => {
  const path = await layoutAt(t, 'folder', { 'acme/app:v1': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
  await writeFiles(path, layoutFiles({ 'acme/app:v2': list }))
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), undefined)
  assert.equal(await tagOf(source, hub('acme/app'), 'v2'), list.manifest.digest)
})

test('an archive that is replaced is read anew', async (t) => {
  const path = await layoutAt(t, 'archive', { 'acme/app:v1': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
  await writeArchive(`${path}.new`, layoutFiles({ 'acme/app:v1': list }))
  await rename(`${path}.new`, path)
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), list.manifest.digest)
})

test('a blob with other bytes loses its end, is named, and is not opened again until it is written again', async (t) => {
  const path = await layoutAt(t, 'folder', { 'acme/app:v1': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  const [, blob] = app.blobs
  assert.ok(blob)
  const file = join(path, 'blobs', blob.digest.replace(':', '/'))
  const wrong = Buffer.from(blob.bytes)
  wrong[0] = (wrong[0] ?? 0) ^ 1
  await writeFile(file, wrong)
  await assert.rejects(readWhole(await open(source, hub('acme/app'), blob.digest)), {
    code: 'corrupt',
    message: new RegExp(`^${file} is not ${blob.digest}: its digest is sha256:`),
  })
  assert.equal(await open(source, hub('acme/app'), blob.digest), undefined)
  await writeFile(file, blob.bytes)
  assert.deepEqual(await readWhole(await open(source, hub('acme/app'), blob.digest)), blob.bytes)
})

test('a content that is written again while it is served is cut off', async (t) => {
  const path = await layoutAt(t, 'folder', { 'acme/app:v1': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  const [, blob] = app.blobs
  assert.ok(blob)
  const content = await open(source, hub('acme/app'), blob.digest)
  await writeFile(join(path, 'blobs', blob.digest.replace(':', '/')), blob.bytes)
  await assert.rejects(readWhole(content), /was written again while it was being served/)
})

const BAD: readonly (readonly [what: string, file: string, text: string, message: RegExp])[] = [
  [
    'a layout of a newer version',
    'oci-layout',
    '{"imageLayoutVersion":"2.0.0"}',
    /is an OCI layout of version 2\.0\.0; this agent reads version 1\.0\.0\.$/,
  ],
  ['a file that names no version', 'oci-layout', '{}', /its file oci-layout says no version/],
  [
    'an index that is not JSON',
    'index.json',
    'no',
    /has an unusable index\.json: the manifest is not a JSON object/,
  ],
]
for (const [what, file, text, message] of BAD) {
  test(`${what} is refused with a sentence`, async (t) => {
    const path = await layoutAt(t, 'folder', { 'acme/app:v1': app })
    await writeFile(join(path, file), text)
    const source = openSource(t, { from: { kind: 'oci', path } })
    await assert.rejects(tagOf(source, hub('acme/app'), 'v1'), { code: 'unavailable', message })
  })
}

test('a path at which nothing is, and an archive that is cut short, are unavailable', async (t) => {
  const folder = await temporaryFolder(t)
  const source = openSource(t, { from: { kind: 'oci', path: join(folder, 'nothing') } })
  await assert.rejects(tagOf(source, hub('a/b'), 'v1'), /nothing does not exist\.$/)
  const path = join(folder, 'cut.tar')
  await writeArchive(path, layoutFiles({ 'acme/app:v1': app }))
  await truncate(path, 5000)
  const cut = openSource(t, { from: { kind: 'oci', path } })
  await assert.rejects(
    tagOf(cut, hub('acme/app'), 'v1'),
    /cut\.tar cannot be read as a tar archive: the archive is cut short\.$/,
  )
})

test('archives with names and links that lead out, devices and huge headers are unavailable', async (t) => {
  const path = join(await temporaryFolder(t), 'hostile.tar')
  const source = openSource(t, { from: { kind: 'oci', path } })
  const end = Buffer.alloc(1024)
  for (const [header, message] of [
    [tarHeader({ path: '../index.json' }), /the name "\.\.\/index\.json" leads out of the archive/],
    [tarHeader({ path: '/etc/passwd' }), /the name "\/etc\/passwd" leads out of the archive/],
    [tarHeader({ path: 'index.json', type: '2', link: '/etc/passwd' }), /the link "index\.json" leads out/],
    [tarHeader({ path: 'a/index.json', type: '2', link: '../../passwd' }), /leads out of the archive/],
    [tarHeader({ path: 'index.json', type: '4' }), /"index\.json" is a device/],
    [tarHeader({ path: 'x', type: 'x', size: 10_000_000 }), /a header has 10000000 bytes/],
    [tarHeader({ path: 'index.json', size: 8 ** 11 - 1 }), /the archive is cut short/],
  ] as const) {
    await writeFile(path, Buffer.concat([header, end]))
    await assert.rejects(tagOf(source, hub('acme/app'), 'v1'), { code: 'unavailable', message })
  }
})

test('what a manifest or an index names and a layout lacks is not there, and all else is', async (t) => {
  const path = await layoutAt(t, 'folder', { 'acme/app:v1': app, 'acme/list:v1': list })
  const [config, layer] = app.blobs
  assert.ok(config && layer)
  await rm(join(path, 'blobs', layer.digest.replace(':', '/')))
  await rm(join(path, 'blobs', list.manifest.digest.replace(':', '/')))
  const source = openSource(t, { from: { kind: 'oci', path } })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
  assert.equal(await open(source, hub('acme/app'), layer.digest), undefined)
  assert.deepEqual(await readWhole(await open(source, hub('acme/app'), config.digest)), config.bytes)
  assert.equal(await tagOf(source, hub('acme/list'), 'v1'), undefined)
})

test('a manifest of schema 1 is told from one that is not there', async (t) => {
  const bytes = Buffer.from('{"schemaVersion":1,"fsLayers":[]}')
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const old: Image = { manifest: { digest, bytes, mediaType }, blobs: [], files: new Map() }
  const path = await layoutAt(t, 'folder', { 'acme/old:v1': old, 'acme/app:v1': app })
  const source = openSource(t, { from: { kind: 'oci', path } })
  await assert.rejects(tagOf(source, hub('acme/old'), 'v1'), {
    code: 'unsupported',
    message: /acme\/old:v1: this is a schema 1 manifest/,
  })
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
})

test('manifests that name a subject are its referrers', async (t) => {
  const signature = buildImage('signature')
  const bytes = Buffer.from(
    JSON.stringify({
      ...JSON.parse(signature.manifest.bytes.toString()),
      artifactType: 'application/vnd.test.signature',
      subject: {
        mediaType: app.manifest.mediaType,
        digest: app.manifest.digest,
        size: app.manifest.bytes.length,
      },
    }),
  )
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const signed: Image = { ...signature, manifest: { ...signature.manifest, digest, bytes } }
  const path = await layoutAt(t, 'folder', { 'acme/app:v1': app, '': signed })
  const source = openSource(t, { from: { kind: 'oci', path } })
  const subject = (await source.tag(hub('acme/app'), 'v1', { signal }))?.digest ?? assert.fail()
  const [only, ...others] = await source.referrers(hub('acme/app'), subject, { signal })
  assert.deepEqual([only?.digest, only?.artifactType, others], [digest, 'application/vnd.test.signature', []])
})
