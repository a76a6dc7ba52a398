import assert from 'node:assert/strict'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryKey } from '../../../src/oci/names/repository.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { partsOf, skopeoFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { hub, open, openSource, readWhole, tagOf, temporaryFolder } from './files.ts'

const signal = new AbortController().signal
const app = buildImage('app')
const other = buildImage('other')

test('each <name>/<tag>/ is an image, nested names too, and all of it is served', async (t) => {
  const path = await temporaryFolder(t)
  await writeFiles(join(path, 'base/v1'), skopeoFiles(app))
  await writeFiles(join(path, 'acme/deep/app/v2'), skopeoFiles(other))
  await writeFiles(join(path, 'ghcr.io/acme/app/v3'), skopeoFiles(other))
  const source = openSource(t, { from: { kind: 'dir', path } })
  assert.equal(await tagOf(source, hub('library/base'), 'v1'), app.manifest.digest)
  assert.equal(await tagOf(source, hub('acme/deep/app'), 'v2'), other.manifest.digest)
  assert.equal(await tagOf(source, { registry: 'ghcr.io', name: 'acme/app' }, 'v3'), other.manifest.digest)
  assert.deepEqual((await source.repositories({ signal })).map(repositoryKey).sort(), [
    'docker.io/acme/deep/app',
    'docker.io/library/base',
    'ghcr.io/acme/app',
  ])
  for (const { digest, bytes } of partsOf(other)) {
    assert.deepEqual(await readWhole(await open(source, hub('acme/deep/app'), digest)), bytes)
    assert.equal(await open(source, hub('library/base'), digest), undefined, 'only under its own name')
  }
})

test('an image is there as soon as all of it is written, and not before', async (t) => {
  const path = await temporaryFolder(t)
  const folder = join(path, 'acme/app/v1')
  const source = openSource(t, { from: { kind: 'dir', path } })
  const written = [...skopeoFiles(app)]
  for (const [name, bytes] of written) {
    assert.equal(await tagOf(source, hub('acme/app'), 'v1'), undefined)
    assert.deepEqual(await source.tags(hub('acme/app'), { signal }), [])
    await writeFiles(folder, new Map([[name, bytes]]))
  }
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), app.manifest.digest)
  const [blob] = app.blobs
  const file = join(folder, blob?.digest.slice(7) ?? '')
  await truncate(file, 10)
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), undefined, 'a blob is too short')
  await rm(file)
  assert.equal(await tagOf(source, hub('acme/app'), 'v1'), undefined, 'a blob is missing')
  await writeFiles(folder, skopeoFiles(other))
  assert.equal(
    await tagOf(source, hub('acme/app'), 'v1'),
    other.manifest.digest,
    'another image in its place',
  )
})

test('an image is told from others by its manifest and its config, once it is whole', async (t) => {
  const path = await temporaryFolder(t)
  const source = openSource(t, { from: { kind: 'dir', path } })
  const identify = () => source.identify(hub('acme/app'), 'v1', { signal })
  assert.equal(await identify(), undefined)
  await writeFiles(join(path, 'acme/app/v1'), skopeoFiles(app))
  assert.deepEqual(await identify(), { manifest: app.manifest.digest, configs: [app.blobs[0]?.digest] })
})

test('a manifest that is no manifest is passed over, and the other tags are served', async (t) => {
  const path = await temporaryFolder(t)
  await writeFiles(join(path, 'acme/app/v1'), skopeoFiles(app))
  await writeFiles(
    join(path, 'acme/app/v2'),
    new Map([['manifest.json', Buffer.from('{"schemaVersion":1,"fsLayers":[]}')]]),
  )
  await writeFile(join(path, 'acme/app/README'), 'no image')
  const source = openSource(t, { from: { kind: 'dir', path } })
  assert.deepEqual(await source.tags(hub('acme/app'), { signal }), ['v1'])
  await assert.rejects(source.tag(hub('acme/app'), 'v2', { signal }), {
    code: 'unsupported',
    message: /v2\/manifest\.json: this is a schema 1 manifest/,
  })
})

test('names with any registry are served under the registry of the settings', async (t) => {
  const path = await temporaryFolder(t)
  await writeFiles(join(path, 'ghcr.io/acme/app/v1'), skopeoFiles(app))
  const source = openSource(t, { from: { kind: 'dir', path }, registry: 'images.test' })
  const repository = { registry: 'images.test', name: 'acme/app' }
  assert.deepEqual(await source.repositories({ signal }), [repository])
  assert.equal((await source.tag(repository, 'v1', { signal }))?.digest, app.manifest.digest)
})

test('names get a registry and a prefix, and only those with certain beginnings are served', async (t) => {
  const path = await temporaryFolder(t)
  await writeFiles(join(path, 'acme/app/v1'), skopeoFiles(app))
  await writeFiles(join(path, 'rest/v1'), skopeoFiles(other))
  const source = openSource(t, {
    from: { kind: 'dir', path },
    registry: 'reg.test',
    namePrefix: 'mirror/',
    prefixes: ['acme/'],
  })
  assert.equal(
    await tagOf(source, { registry: 'reg.test', name: 'mirror/acme/app' }, 'v1'),
    app.manifest.digest,
  )
  for (const repository of [
    { registry: 'reg.test', name: 'mirror/rest' },
    hub('acme/app'),
    { registry: 'reg.test', name: 'acme/app' },
  ]) {
    assert.equal(await tagOf(source, repository, 'v1'), undefined, repositoryKey(repository))
  }
})

test('the folder that is no longer there is named', async (t) => {
  const path = join(await temporaryFolder(t), 'gone')
  const source = openSource(t, { from: { kind: 'dir', path } })
  await assert.rejects(source.repositories({ signal }), {
    code: 'unavailable',
    message: `${path} does not exist.`,
  })
})
