import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import type { SourceOptions } from '../../src/sources/sources.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { buildImage, type Image } from '../../testkit/registries/image.ts'
import { layoutFiles, skopeoFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { Node } from '../warm/node.ts'
import { RecordedDocker } from './docker/recorded-docker.ts'
import { temporaryFolder } from './files/files.ts'

const app = buildImage('app', { layerSizes: [300_000, 10] })
const other = buildImage('other')

interface Lab {
  readonly folder: string
  readonly upstream: FaultyUpstream
  start(sources: readonly SourceOptions[], more?: Partial<AgentOptions>): Promise<Node>
}

async function startLab(t: TestContext): Promise<Lab> {
  const folder = await temporaryFolder(t)
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const start: Lab['start'] = (sources, more = {}) =>
    Node.start(t, upstream, { data: join(folder, 'data'), defaultNamespace: 'up.test', sources, ...more })
  return { folder, upstream, start }
}

async function assertPulled({ agent }: Node, name: string, image: Image): Promise<void> {
  const base = `http://127.0.0.1:${agent.addresses.registry?.port}/v2/${name}`
  const manifest = await fetch(`${base}/manifests/v1`)
  assert.deepEqual(Buffer.from(await manifest.arrayBuffer()), image.manifest.bytes)
  for (const { digest, bytes } of image.blobs) {
    const blob = await fetch(`${base}/blobs/${digest}`)
    assert.equal(blob.headers.get('cache-status'), 'leat; hit')
    assert.deepEqual(Buffer.from(await blob.arrayBuffer()), bytes)
  }
}

test('what a local source has is warmed from there, pinned, and stays when its files are gone', async (t) => {
  const { folder, upstream, start } = await startLab(t)
  await writeFiles(join(folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await writeFiles(join(folder, 'dir/acme/other/v1'), skopeoFiles(other))
  const node = await start([
    { from: { kind: 'oci', path: join(folder, 'layout') } },
    { from: { kind: 'dir', path: join(folder, 'dir') } },
  ])
  for (const name of ['acme/app', 'acme/other']) {
    const { images, done } = await node.warm({ images: [`up.test/${name}:v1`], pin: true })
    assert.equal(images[0]?.error, null)
    assert.equal(done.failed, 0)
  }
  assert.equal(upstream.requests.length, 0)
  await rm(join(folder, 'layout'), { recursive: true })
  await rm(join(folder, 'dir'), { recursive: true })
  await assertPulled(node, 'acme/app', app)
  await assertPulled(node, 'acme/other', other)
})

test('a wrong file is not stored: its content comes from upstream', async (t) => {
  const { folder, upstream, start } = await startLab(t)
  const files = layoutFiles({ 'acme/app:v1': app })
  await writeFiles(join(folder, 'layout'), files)
  const layer = app.blobs[1]
  assert.ok(layer)
  const altered = Buffer.from(layer.bytes).fill('x', 1_000, 1_010)
  await writeFile(join(folder, 'layout', `blobs/sha256/${layer.digest.slice(7)}`), altered)
  upstream.addBlob(layer.bytes)
  const node = await start([{ from: { kind: 'oci', path: join(folder, 'layout') } }])
  const { images } = await node.warm({ images: ['up.test/acme/app:v1'] })
  assert.equal(images[0]?.error, null)
  assert.deepEqual(
    new Set(upstream.requests.map(({ path }) => path)),
    new Set([`/v2/acme/app/blobs/${layer.digest}`]),
  )
  await rm(join(folder, 'layout'), { recursive: true })
  await assertPulled(node, 'acme/app', app)
})

test('an image that the settings keep warm comes from a local source, and again when its tag moves there', async (t) => {
  const { folder, upstream, start } = await startLab(t)
  await writeFiles(join(folder, 'dir/acme/app/v1'), skopeoFiles(other))
  const warm = [{ image: 'up.test/acme/app:v1', pin: true }]
  const sources: readonly SourceOptions[] = [{ from: { kind: 'dir', path: join(folder, 'dir') } }]
  const node = await start(sources, { warm })
  await node.ready()
  await assertPulled(node, 'acme/app', other)
  await node.agent.stop({ drainMs: 0 })
  await rm(join(folder, 'dir'), { recursive: true })
  await writeFiles(join(folder, 'dir/acme/app/v1'), skopeoFiles(app))
  const next = await start(sources, { warm })
  await next.ready()
  await assertPulled(next, 'acme/app', app)
  assert.equal(upstream.requests.length, 0)
})

test('an image of Docker is saved once, and all of it is warm', async (t) => {
  const { folder, start } = await startLab(t)
  const docker = await RecordedDocker.start(folder)
  t.after(() => docker.stop())
  const node = await start([
    { from: { kind: 'docker', host: `unix://${docker.socketPath}` }, registry: 'up.test' },
  ])
  const { images, done } = await node.warm({ images: ['up.test/acme/small:v1'], pin: true })
  assert.equal(images[0]?.error, null)
  assert.equal(done.failed, 0)
  assert.equal(docker.saves, 1)
  assert.equal((await node.blobs()).length, 9)
})
