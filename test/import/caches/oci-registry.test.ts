import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { buildIndex, type ImagePart } from '../../../testkit/registries/image.ts'
import { partsOf } from '../../../testkit/registries/image-folders.ts'
import { startLab } from '../import-lab.ts'

const list = buildIndex('list', ['amd64', 'arm64'])

async function write(path: string, bytes: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
}

function cached({ bytes, digest }: ImagePart): string {
  return JSON.stringify({ manifest: [...bytes], media_type: 'ManifestList', digest })
}

/** The cache after one platform of the index was pulled. */
async function fill(root: string): Promise<void> {
  const [image] = list.images
  assert.ok(image)
  for (const { digest, bytes } of partsOf(image).slice(1)) {
    await write(join(root, 'blobs/sha256', digest.slice(7, 9), digest.slice(9)), bytes)
  }
  const folder = join(root, 'manifests/ghcr.io/acme/deep/list')
  await write(join(folder, 'v1'), cached(list.manifest))
  await write(join(folder, image.manifest.digest), cached(image.manifest))
}

test('a cache is taken over, and half-written manifests are named', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'cache')
  await fill(rest)
  const half = join(rest, 'manifests/docker.io/library/alpine/3.20')
  await write(half, cached(list.manifest).slice(0, 500))
  const other = join(rest, `manifests/docker.io/library/alpine/sha256:${'0'.repeat(64)}`)
  await write(other, cached(list.manifest))
  const { images, leftOut, done } = await lab.run({ transport: 'oci-registry', rest }, { move: true })
  assert.deepEqual(
    images.map(({ image, error }) => [image, error]),
    [['ghcr.io/acme/deep/list:v1', null]],
  )
  assert.deepEqual(leftOut.map(({ file }) => file).sort(), [half, other].sort())
  assert.ok(done.movedBytes > 0)
  const repository = { registry: 'ghcr.io', name: 'acme/deep/list' }
  assert.equal(await lab.tagOf(repository, 'v1'), list.manifest.digest)
})

test('another folder is refused', async (t) => {
  const lab = await startLab(t)
  await assert.rejects(lab.run({ transport: 'oci-registry', rest: lab.folder }), /no cache of oci-registry/)
})
