import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { formatHeader } from '../../../src/lib/tar/header.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { type Files, layoutFiles, writeArchive } from '../../../testkit/registries/image-folders.ts'
import { hub, type ImportLab, startLab } from '../import-lab.ts'

const app = buildImage('app', { layerSizes: [100_000, 200] })
const [config, ...layers] = app.blobs

function hexOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What `docker save` writes up to Engine 24. */
function savedFiles(tags: readonly string[] | null, change: Record<string, unknown> = {}): Files {
  assert.ok(config)
  const files: Files = new Map()
  const names = layers.map(({ bytes }, at) => {
    files.set(`${at}/layer.tar`, gunzipSync(bytes))
    return `${at}/layer.tar`
  })
  files.set(`${hexOf(config.bytes)}.json`, config.bytes)
  const image = { Config: `${hexOf(config.bytes)}.json`, RepoTags: tags, Layers: names, ...change }
  return files.set('manifest.json', Buffer.from(JSON.stringify([image])))
}

async function importOf(lab: ImportLab, files: Files) {
  const rest = join(lab.folder, 'saved.tar')
  await writeArchive(rest, files)
  return lab.run({ transport: 'docker-archive', rest })
}

/** A tar of one entry of any type. */
function entry(path: string, type: string, size: number, link = ''): Buffer {
  const header = Buffer.from(formatHeader(path, type, size))
  header.write(link, 157)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

test('the image of an archive has the same digest each time, and all its tags', async (t) => {
  const lab = await startLab(t)
  const { images } = await importOf(lab, savedFiles(['acme/app:v1', 'acme/app:latest']))
  assert.deepEqual(
    images.map(({ image, error }) => [image, error]),
    [
      ['docker.io/acme/app:v1', null],
      ['docker.io/acme/app:latest', null],
    ],
  )
  const other = await startLab(t)
  await importOf(other, savedFiles(['acme/app:v1']))
  assert.equal(await other.tagOf(hub('acme/app'), 'v1'), await lab.tagOf(hub('acme/app'), 'v1'))
  for (const { bytes } of layers) assert.ok(await lab.isStored(`sha256:${hexOf(gunzipSync(bytes))}`))
})

test('an archive may be gzipped', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'saved.tar.gz')
  await writeArchive(rest, savedFiles(['acme/app:v1']))
  await writeFile(rest, gzipSync(await readFile(rest)))
  const { done, images } = await lab.run({ transport: 'docker-archive', rest })
  assert.equal(done.failed, 0)
  assert.equal(images[0]?.image, 'docker.io/acme/app:v1')
  const other = await startLab(t)
  await importOf(other, savedFiles(['acme/app:v1']))
  assert.equal(await other.tagOf(hub('acme/app'), 'v1'), await lab.tagOf(hub('acme/app'), 'v1'))
})

test('a layer may be a link to another one', async (t) => {
  const lab = await startLab(t)
  const files = savedFiles(['acme/app:v1'])
  const rest = join(lab.folder, 'linked.tar')
  await writeArchive(rest, files)
  const archive = await readFile(rest)
  const linked = JSON.parse(Buffer.from(files.get('manifest.json') ?? '').toString())
  linked[0].Layers[0] = 'linked/layer.tar'
  const manifest = Buffer.from(JSON.stringify(linked))
  const padded = Buffer.concat([manifest, Buffer.alloc((512 - (manifest.length % 512)) % 512)])
  const more = [
    entry('manifest.json', '0', manifest.length),
    padded,
    entry('linked/layer.tar', '2', 0, '../0/layer.tar'),
  ]
  await writeFile(rest, Buffer.concat([...more, archive]))
  const { done } = await lab.run({ transport: 'docker-archive', rest })
  // The manifest at the end of the archive replaces the first one, so both must be readable.
  assert.equal(done.failed, 0)
})

test('an archive with compressed layers is read as the layout that it is, or refused', async (t) => {
  const lab = await startLab(t)
  const files = layoutFiles({ 'acme/app:v1': app })
  const paths = app.blobs.map(({ digest }) => `blobs/${digest.replace(':', '/')}`)
  const listed = [{ Config: paths[0], RepoTags: ['acme/app:v1'], Layers: paths.slice(1) }]
  files.set('manifest.json', Buffer.from(JSON.stringify(listed)))
  await importOf(lab, files)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), app.manifest.digest)
  files.delete('index.json')
  await assert.rejects(importOf(lab, files), /compressed layers without manifests/)
})

test('what an archive lists and lacks is named', async (t) => {
  const lab = await startLab(t)
  for (const [change, error] of [
    [{ Config: 'gone.json' }, /the config gone\.json, which is not in it/],
    [{ Layers: ['0/layer.tar', 'gone/layer.tar'] }, /the layer gone\/layer\.tar, which is not in it/],
    [{ Layers: ['0/layer.tar'] }, /the layer sha256:\w+, which is not in it/],
    [{ Config: '0/layer.tar' }, /is unusable/],
  ] as const) {
    const { leftOut, done } = await importOf(lab, savedFiles(['acme/app:v1'], change))
    assert.match(leftOut[0]?.error ?? '', error)
    assert.equal(done.images, 0)
  }
})

test('layers that are not those of the config are left out by name', async (t) => {
  const lab = await startLab(t)
  const files = savedFiles(['acme/app:v1']).set('1/layer.tar', Buffer.alloc(1024))
  const { leftOut, done } = await importOf(lab, files)
  assert.match(leftOut[0]?.error ?? '', /^It is not sha256:\w+: its digest is sha256:\w+\.$/)
  assert.equal(done.failed, 1)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), undefined)
})

test('archives that are damaged, compressed or hostile are refused with one sentence', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'bad.tar')
  const place = { transport: 'docker-archive', rest } as const
  const end = Buffer.alloc(1024)
  for (const [bytes, error] of [
    [Buffer.concat([entry('../escape', '0', 0), end]), /leads out of the archive/],
    [Buffer.concat([entry('/escape', '0', 0), end]), /leads out of the archive/],
    [Buffer.concat([entry('link', '2', 0, '../../etc/passwd'), end]), /leads out of the archive/],
    [Buffer.concat([entry('link', '1', 0, '/etc/passwd'), end]), /leads out of the archive/],
    [Buffer.concat([entry('null', '3', 0), end]), /is a device/],
    [Buffer.concat([entry('pipe', '6', 0), end]), /is a device/],
    [Buffer.concat([entry('long', 'x', 10_000_000), end]), /a header has 10000000 bytes/],
    [Buffer.alloc(700, 'x'), /malformed number/],
    [Buffer.alloc(100, 'x'), /cut short/],
    [gzipSync(gzipSync(end)), /cut short/],
    [
      Buffer.from('28b52ffd00', 'hex'),
      /is compressed with zstd, which needs Node 22\.15|cannot be decompressed/,
    ],
    [end, /no archive of docker save/],
  ] as const) {
    await writeFile(rest, bytes)
    await assert.rejects(lab.run(place), error)
  }
  await writeArchive(rest, savedFiles(['acme/app:v1']))
  await truncate(rest, 50_000)
  await assert.rejects(lab.run(place), /cut short/)
  await writeArchive(rest, savedFiles(['acme/app:v1']).set('manifest.json', Buffer.from('[{}]')))
  await assert.rejects(lab.run(place), /unusable manifest\.json/)
})
