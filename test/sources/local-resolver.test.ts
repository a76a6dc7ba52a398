import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../src/agent.ts'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { SourceOptions } from '../../src/sources/sources.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { buildImage, type Image, type ImagePart } from '../../testkit/registries/image.ts'
import { layoutFiles, skopeoFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { temporaryFolder } from './files/files.ts'

const app = buildImage('app', { layerSizes: [300_000, 10] })
const other = buildImage('other')

interface Lab {
  readonly upstream: FaultyUpstream
  readonly folder: string
  get(path: string): Promise<{ status: number; body: Buffer; headers: Headers; isWhole: boolean }>
}

/** An agent whose only registry is `up.test`, with sources in `folder`. */
async function startLab(t: TestContext, sources: (folder: string) => readonly SourceOptions[]): Promise<Lab> {
  const folder = await temporaryFolder(t)
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const agent = createAgent({
    data: join(folder, 'data'),
    listen: { host: '127.0.0.1', port: 0 },
    defaultNamespace: 'up.test',
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
    sources: sources(folder),
  })
  t.after(() => agent.stop({ drainMs: 0 }))
  await agent.start()
  const { port } = agent.addresses.registry
  return {
    upstream,
    folder,
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${port}/v2/${path}`)
      const chunks: Uint8Array[] = []
      let isWhole = true
      try {
        for await (const chunk of response.body ?? []) chunks.push(chunk)
      } catch {
        isWhole = false
      }
      return { status: response.status, body: Buffer.concat(chunks), headers: response.headers, isWhole }
    },
  }
}

const layout = (folder: string, more: Partial<SourceOptions> = {}): SourceOptions => ({
  from: { kind: 'oci', path: join(folder, 'layout') },
  ...more,
})
const skopeo = (folder: string, more: Partial<SourceOptions> = {}): SourceOptions => ({
  from: { kind: 'dir', path: join(folder, 'dir') },
  ...more,
})

async function assertServed(lab: Lab, name: string, tag: string, image: Image): Promise<void> {
  const { headers, body } = await lab.get(`${name}/manifests/${tag}`)
  assert.equal(headers.get('docker-content-digest'), image.manifest.digest)
  assert.equal(headers.get('cache-status'), 'leat; hit; detail=local-source')
  assert.deepEqual(body, image.manifest.bytes)
  for (const blob of image.blobs) {
    const answer = await lab.get(`${name}/blobs/${blob.digest}`)
    assert.deepEqual([answer.status, answer.isWhole], [200, true])
    assert.deepEqual(answer.body, blob.bytes)
  }
}

test('images of local sources are served without a request to upstream', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder), skopeo(folder)])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await writeFiles(join(lab.folder, 'dir/acme/other/v1'), skopeoFiles(other))
  await assertServed(lab, 'acme/app', 'v1', app)
  await assertServed(lab, 'acme/other', 'v1', other)
  assert.equal(lab.upstream.requests.length, 0)
})

test('what no source has comes from upstream, and tags of both are listed', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder)])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  const { layers } = lab.upstream.addImage('acme/app', 'v2', [Buffer.from('from upstream')])
  const manifest = await lab.get('acme/app/manifests/v2')
  assert.equal(manifest.headers.get('cache-status'), 'leat; fwd=uri-miss; detail=upstream')
  assert.equal((await lab.get(`acme/app/blobs/${layers[0]}`)).body.toString(), 'from upstream')
  const tags = await lab.get('acme/app/tags/list')
  assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['v1', 'v2'])
})

test('an image that is stored already is served from the store', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder)])
  const { layers } = lab.upstream.addImage('acme/app', 'v2', [Buffer.from('from upstream')])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await lab.get('acme/app/manifests/v2')
  for (let status: string | null = null; status !== 'leat; hit'; ) {
    status = (await lab.get(`acme/app/blobs/${layers[0]}`)).headers.get('cache-status')
  }
  assert.equal(lab.upstream.count(layers[0] ?? ''), 1)
})

test('an exclusive source answers 404 for what it lacks, and upstream is not asked', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder, { isExclusive: true })])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  lab.upstream.addImage('acme/app', 'v2', [Buffer.from('x')])
  await assertServed(lab, 'acme/app', 'v1', app)
  assert.equal((await lab.get('acme/app/manifests/v2')).status, 404)
  assert.equal((await lab.get(`acme/app/blobs/${other.blobs[0]?.digest}`)).status, 404)
  assert.equal(lab.upstream.requests.length, 0)
})

test('after an exclusive source the other sources are asked, and still not upstream', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder, { isExclusive: true }), skopeo(folder)])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await writeFiles(join(lab.folder, 'dir/acme/app/v2'), skopeoFiles(other))
  await assertServed(lab, 'acme/app', 'v2', other)
  assert.equal((await lab.get('acme/app/manifests/v3')).status, 404)
  assert.equal(lab.upstream.requests.length, 0)
})

test('a source that cannot be read is passed over, and its failure is the answer where nobody has the image', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder)])
  lab.upstream.addImage('acme/app', 'v2', [Buffer.from('x')])
  assert.equal((await lab.get('acme/app/manifests/v2')).status, 200)
  const answer = await lab.get('acme/app/manifests/v1')
  assert.equal(answer.status, 502)
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await assertServed(lab, 'acme/app', 'v1', app)
})

test('a wrong file never arrives whole, and the next request gets the content from upstream', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder)])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  const [, blob] = app.blobs as [ImagePart, ImagePart]
  const wrong = Buffer.from(blob.bytes)
  wrong[5] = (wrong[5] ?? 0) ^ 1
  const file = join(lab.folder, 'layout/blobs', blob.digest.replace(':', '/'))
  await writeFile(`${file}.new`, wrong)
  await rename(`${file}.new`, file)
  lab.upstream.addImage('acme/app', 'v9', [blob.bytes])
  const cut = await lab.get(`acme/app/blobs/${blob.digest}`)
  assert.equal(cut.isWhole && cut.body.length === blob.bytes.length, false)
  const next = await lab.get(`acme/app/blobs/${blob.digest}`)
  assert.deepEqual([next.isWhole, digestOf(next.body)], [true, blob.digest])
})

test('of two sources that disagree about a tag the first one is served, and the other one is told of once', async (t) => {
  const lab = await startLab(t, (folder) => [skopeo(folder), layout(folder)])
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  await writeFiles(join(lab.folder, 'dir/acme/app/v1'), skopeoFiles(other))
  const hidden: Events['source.hidden'][] = []
  const told = new Deferred<void>()
  t.after(
    subscribe('source.hidden', (event) => {
      hidden.push(event)
      told.resolve()
    }),
  )
  await assertServed(lab, 'acme/app', 'v1', other)
  await told.promise
  await assertServed(lab, 'acme/app', 'v1', other)
  assert.deepEqual(hidden, [
    {
      image: 'up.test/acme/app:v1',
      source: `oci ${join(lab.folder, 'layout')}`,
      digest: app.manifest.digest,
      servedBy: `dir ${join(lab.folder, 'dir')}`,
      servedDigest: other.manifest.digest,
    },
  ])
})

test('of two sources that disagree about the bytes of a content the one with the right bytes is served', async (t) => {
  const lab = await startLab(t, (folder) => [skopeo(folder), layout(folder, { isExclusive: true })])
  const files = skopeoFiles(app)
  const [, blob] = app.blobs as [ImagePart, ImagePart]
  files.set(blob.digest.slice('sha256:'.length), Buffer.alloc(blob.bytes.length, 'wrong'))
  await writeFiles(join(lab.folder, 'dir/acme/app/v1'), files)
  await writeFiles(join(lab.folder, 'layout'), layoutFiles({ 'acme/app:v1': app }))
  const cut = await lab.get(`acme/app/blobs/${blob.digest}`)
  assert.equal(cut.isWhole && cut.body.length === blob.bytes.length, false)
  await assertServed(lab, 'acme/app', 'v1', app)
})

test('the catalog names the repositories of sources, too', async (t) => {
  const lab = await startLab(t, (folder) => [skopeo(folder)])
  await writeFiles(join(lab.folder, 'dir/acme/app/v1'), skopeoFiles(app))
  const { body } = await lab.get('_catalog')
  assert.deepEqual(JSON.parse(body.toString()).repositories, ['up.test/acme/app'])
})

test('referrers of a source and of upstream are one list', async (t) => {
  const lab = await startLab(t, (folder) => [layout(folder)])
  const signature = buildImage('signature')
  const { digest, mediaType, bytes } = app.manifest
  const signed = Buffer.from(
    JSON.stringify({
      ...JSON.parse(signature.manifest.bytes.toString()),
      artifactType: 'application/vnd.test.signature',
      subject: { mediaType, digest, size: bytes.length },
    }),
  )
  const manifest = { ...signature.manifest, digest: digestOf(signed), bytes: signed }
  await writeFiles(
    join(lab.folder, 'layout'),
    layoutFiles({ 'acme/app:v1': app, '': { ...signature, manifest } }),
  )
  const { body } = await lab.get(`acme/app/referrers/${digest}`)
  const index = JSON.parse(body.toString())
  assert.deepEqual(
    index.manifests.map((one: { digest: string }) => one.digest),
    [manifest.digest],
  )
})

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
