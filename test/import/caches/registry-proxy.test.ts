import assert from 'node:assert/strict'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { buildImage, type Image } from '../../../testkit/registries/image.ts'
import { hub, startLab } from '../import-lab.ts'

const pulled = buildImage('pulled')
const pushed = buildImage('pushed')

async function write(path: string, bytes: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
}

async function fill(
  folder: string,
  { manifest, blobs }: Image,
  nameOf: (digest: string) => string,
): Promise<void> {
  for (const { digest, bytes } of blobs) await write(join(folder, 'blobs', nameOf(digest)), bytes)
  const meta = { hash: manifest.digest.slice(7), content_type: manifest.mediaType }
  for (const reference of ['v1', manifest.digest]) {
    await write(join(folder, 'manifests', reference), manifest.bytes)
    await write(join(folder, 'meta', reference), JSON.stringify(meta))
  }
}

test('images that were pulled through and images that were pushed are taken over', async (t) => {
  const lab = await startLab(t)
  const proxy = join(lab.folder, 'proxy')
  await fill(join(proxy, 'registry-1.docker.io/library/alpine/_repository'), pulled, (digest) => digest)
  const { done } = await lab.run({ transport: 'registry-proxy', rest: proxy })
  assert.deepEqual([done.images, done.failed], [1, 0])
  assert.equal(await lab.tagOf(hub('library/alpine'), 'v1'), pulled.manifest.digest)
  const hosted = join(lab.folder, 'hosted')
  await fill(join(hosted, 'acme/app/_repository'), pushed, (digest) => digest.slice(7))
  await lab.run({ transport: 'registry-proxy', rest: hosted }, {}, 'registry.test')
  const repository = { registry: 'registry.test', name: 'acme/app' }
  assert.equal(await lab.tagOf(repository, 'v1'), pushed.manifest.digest)
})

test('a file that an aborted pull has left is named', async (t) => {
  const lab = await startLab(t)
  const rest = join(lab.folder, 'proxy')
  const folder = join(rest, 'ghcr.io/acme/app/_repository')
  await fill(folder, pulled, (digest) => digest)
  const blob = join(folder, 'blobs', pulled.blobs[1]?.digest ?? '')
  await truncate(blob, 5000)
  await truncate(join(folder, 'manifests', 'v1'), 100)
  const { leftOut, done } = await lab.run({ transport: 'registry-proxy', rest })
  assert.deepEqual(leftOut.map(({ file }) => file).sort(), [blob, join(folder, 'manifests/v1')].sort())
  assert.equal(done.failed, 1)
  await assert.rejects(lab.run({ transport: 'registry-proxy', rest: join(lab.folder, 'none') }), /no storage/)
})
