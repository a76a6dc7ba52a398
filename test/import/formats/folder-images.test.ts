import assert from 'node:assert/strict'
import { mkdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage } from '../../../testkit/registries/image.ts'
import { skopeoFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { hub, startLab } from '../import-lab.ts'

const app = buildImage('app')

test('a tree of folders has an image in each name and tag, nested names and registries too', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'tree')
  for (const path of ['alpine/3.20', 'acme/deep/app/v1', 'ghcr.io/acme/app/v2']) {
    await writeFiles(join(rest, path), skopeoFiles(app))
  }
  const { done } = await lab.run({ transport: 'dir', rest })
  assert.deepEqual([done.images, done.failed], [3, 0])
  const { digest } = app.manifest
  assert.equal(await lab.tagOf(hub('library/alpine'), '3.20'), digest)
  assert.equal(await lab.tagOf(hub('acme/deep/app'), 'v1'), digest)
  assert.equal(await lab.tagOf({ registry: 'ghcr.io', name: 'acme/app' }, 'v2'), digest)
  const other = await startLab(t)
  await other.run({ transport: 'dir', rest }, {}, 'registry.test')
  assert.equal(await other.tagOf({ registry: 'registry.test', name: 'acme/deep/app' }, 'v1'), digest)
})

test('a folder that is one image needs a name', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'one')
  await writeFiles(rest, skopeoFiles(app))
  const { images } = await lab.run({ transport: 'dir', rest })
  assert.match(images[0]?.error ?? '', /Name it with --as/)
  const as = { repository: hub('acme/app'), tag: 'v1' }
  await lab.run({ transport: 'dir', rest }, { as })
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), app.manifest.digest)
})

test('half-written and wrong images of a tree are named, and the others are stored', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'tree')
  await writeFiles(join(rest, 'acme/app/v1'), skopeoFiles(app))
  await writeFiles(join(rest, 'acme/half/v1'), skopeoFiles(app))
  await unlink(join(rest, 'acme/half/v1', app.blobs[0]?.digest.slice(7) ?? ''))
  await mkdir(join(rest, 'acme/wrong/v1'), { recursive: true })
  await writeFile(join(rest, 'acme/wrong/v1/manifest.json'), '{"schemaVersion":1,"fsLayers":[]}')
  const { leftOut, done } = await lab.run({ transport: 'dir', rest })
  // Both images have the same config, so the half-written one is whole here.
  assert.deepEqual([done.images, done.failed], [2, 0])
  assert.match(leftOut[0]?.file ?? '', /acme\/wrong\/v1\/manifest\.json$/)
  assert.match(leftOut[0]?.error ?? '', /schema 1/)
})

test('a folder without images, or that does not exist, is refused', async (t) => {
  const lab = await startLab(t)
  await assert.rejects(lab.run({ transport: 'dir', rest: join(lab.folder, 'gone') }), /does not exist/)
  await mkdir(join(lab.folder, 'empty'))
  await assert.rejects(lab.run({ transport: 'dir', rest: join(lab.folder, 'empty') }), /has no image/)
})
