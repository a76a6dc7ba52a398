import assert from 'node:assert/strict'
import { access, mkdir, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import {
  buildImage,
  buildIndex,
  type Image,
  type ImagePart,
  type Index,
} from '../../../testkit/registries/image.ts'
import { partsOf } from '../../../testkit/registries/image-folders.ts'
import { hub, startLab } from '../import-lab.ts'

const app = buildImage('app')
const list = buildIndex('list', ['amd64', 'arm64'])

async function write(path: string, bytes: string | Uint8Array): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
  return path
}

function dataOf(root: string, digest: string): string {
  const hex = digest.slice('sha256:'.length)
  return join(root, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
}

/** What a registry has after a push. */
async function push(root: string, name: string, tag: string, image: Image | Index): Promise<void> {
  const manifests =
    'images' in image ? [image.manifest, ...image.images.map((one) => one.manifest)] : [image.manifest]
  const folder = join(root, 'docker/registry/v2/repositories', name, '_manifests')
  for (const { digest, bytes } of partsOf(image)) await write(dataOf(root, digest), bytes)
  for (const { digest } of manifests) {
    await write(join(folder, 'revisions/sha256', digest.slice('sha256:'.length), 'link'), digest)
  }
  await write(join(folder, 'tags', tag, 'current/link'), image.manifest.digest)
}

test('the images of a registry are taken over, each manifest once', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'registry')
  await push(rest, 'library/alpine', '3.20', app)
  await push(rest, 'acme/deep/list', 'v1', list)
  const { images, done } = await lab.run({ transport: 'docker-registry', rest })
  assert.deepEqual(images.map(({ image }) => image).sort(), [
    'docker.io/acme/deep/list:v1',
    'docker.io/library/alpine:3.20',
  ])
  assert.deepEqual([done.failed, done.movedBytes], [0, 0])
  assert.equal(await lab.tagOf(hub('acme/deep/list'), 'v1'), list.manifest.digest)
  await access(dataOf(rest, app.blobs[0]?.digest ?? ''))
})

test('files are moved if that is wanted, and half-written ones are left out and named', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'registry')
  await push(rest, 'acme/app', 'v1', app)
  await push(rest, 'acme/list', 'v1', list)
  const layer: ImagePart = app.blobs[1] ?? assert.fail('the image has layers')
  const altered: ImagePart = app.blobs[2] ?? assert.fail('the image has layers')
  await truncate(dataOf(rest, layer.digest), 1000)
  await writeFile(dataOf(rest, altered.digest), Buffer.alloc(altered.bytes.length))
  const { images, leftOut, done } = await lab.run({ transport: 'docker-registry', rest }, { move: true })
  assert.deepEqual(
    leftOut.map(({ file }) => file).sort(),
    [dataOf(rest, altered.digest), dataOf(rest, layer.digest)].sort(),
  )
  assert.match(images.find(({ error }) => error !== null)?.image ?? '', /acme\/app:v1/)
  assert.deepEqual([done.failed, done.leftOut], [1, 2])
  assert.ok(done.movedBytes > 0)
  assert.equal(await lab.tagOf(hub('acme/list'), 'v1'), list.manifest.digest)
  await assert.rejects(access(dataOf(rest, list.images[0]?.blobs[0]?.digest ?? '')), 'the file was moved')
  await access(dataOf(rest, altered.digest))
})

test('an image of an index that was never pulled does not matter', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'registry')
  await push(rest, 'acme/list', 'v1', list)
  const [, arm] = list.images
  for (const { digest } of arm?.blobs ?? []) await truncate(dataOf(rest, digest), 0)
  const { rm } = await import('node:fs/promises')
  for (const { digest } of arm?.blobs ?? []) await rm(dataOf(rest, digest))
  const { images, done } = await lab.run({ transport: 'docker-registry', rest })
  assert.equal(images.find(({ image }) => image.endsWith(':v1'))?.error, null)
  assert.equal(await lab.tagOf(hub('acme/list'), 'v1'), list.manifest.digest)
  assert.ok(done.failed <= 1)
})

test('a folder that is no storage of a registry is refused', async (t) => {
  const lab = await startLab(t)
  await assert.rejects(
    lab.run({ transport: 'docker-registry', rest: lab.folder }),
    /no storage of a registry/,
  )
})
