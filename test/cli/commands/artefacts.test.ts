import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import {
  buildArtefacts,
  buildBuildKitIndex,
  buildDockerList,
  buildReferrer,
} from '../../../testkit/registries/artefacts.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { Image, ImagePart, Index } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runInProcess } from '../run-in-process.ts'

const SCHEMA_1 = JSON.stringify({ schemaVersion: 1, name: 'acme/old', tag: 'v1', fsLayers: [], history: [] })

const artefacts: Readonly<Record<string, Image | Index>> = {
  ...Object.fromEntries(
    Object.entries(buildArtefacts('every way')).map(([kind, image]) => [`acme/${kind}:v1`, image]),
  ),
  'acme/list:v1': buildDockerList('every way'),
  'acme/buildkit:v1': buildBuildKitIndex('every way'),
}
const names = Object.keys(artefacts)
const model = artefacts['acme/model:v1'] ?? assert.fail('no model')
const signature = buildReferrer(model.manifest, 'every way')

/** A folder of skopeo does not say which digest its manifest had, so that it is known by SHA-256 from then on. */
function bySha256({ bytes, mediaType }: ImagePart): ImagePart {
  return { bytes, mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

interface Lab {
  /** A path in the folder of the test. */
  at(name: string): string
  succeed(...args: readonly string[]): Promise<string>
}

/** With an OCI layout of all artefacts, in which one of them has a signature, and a registry that knows nothing of them. */
async function startLab(t: TestContext): Promise<Lab> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const folder = await mkdtemp(join(tmpdir(), 'leat-artefacts-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)
  const files = layoutFiles(artefacts)
  for (const { digest, bytes } of partsOf(signature)) files.set(`blobs/${digest.replace(':', '/')}`, bytes)
  const index = JSON.parse(Buffer.from(files.get('index.json') ?? '').toString())
  const { mediaType, digest, bytes } = signature.manifest
  index.manifests.push({ mediaType, digest, size: bytes.length })
  await writeFiles(at('layout'), files.set('index.json', Buffer.from(JSON.stringify(index))))
  for (const name of ['data', 'again']) await mkdir(at(name))
  const registry = `{ namespace: up.test, host: '${upstream.host}', tls: false }`
  await writeFile(at('config.yaml'), `defaultNamespace: up.test\nupstreams:\n  - ${registry}\n`)
  const succeed = async (...args: readonly string[]): Promise<string> => {
    const { code, out, err } = await runInProcess([...args, '--config', at('config.yaml')])
    assert.deepEqual([code, err], [0, ''], args.join(' '))
    return out
  }
  return { at, succeed }
}

function blobFile({ digest }: ImagePart): string {
  return `blobs/${digest.replace(':', '/')}`
}

async function assertInLayout(layout: string, images: readonly (Image | Index)[]): Promise<void> {
  for (const part of images.flatMap(partsOf)) {
    assert.deepEqual(await readFile(join(layout, blobFile(part))), part.bytes, part.digest)
  }
}

const WAYS = {
  'a layout': 'oci:',
  'an archive': 'oci-archive:',
  'folders of skopeo': 'dir:',
} as const

for (const [way, transport] of Object.entries(WAYS)) {
  test(`artefacts of every kind are imported, exported to ${way}, and imported from there`, async (t) => {
    const { at, succeed } = await startLab(t)
    await succeed('import', `oci:${at('layout')}`, '--data', at('data'))
    await succeed('export', ...names, '--data', at('data'), '--to', `${transport}${at('out')}`)
    await succeed('import', `${transport}${at('out')}`, '--data', at('again'))
    await succeed('export', ...names, '--data', at('again'), '--to', `oci:${at('end')}`)
    const isFolder = transport === 'dir:'
    for (const image of Object.values(artefacts)) {
      await assertInLayout(at('end'), [isFolder ? { ...image, manifest: bySha256(image.manifest) } : image])
    }
  })
}

test('a signature goes with what it signs, from file to file and into a store', async (t) => {
  const { at, succeed } = await startLab(t)
  const all = [...names, '--referrers']
  await succeed('export', ...all, '--from', `oci:${at('layout')}`, '--to', `oci-archive:${at('1.tar')}`)
  await succeed('export', ...all, '--from', `oci-archive:${at('1.tar')}`, '--to', `oci:${at('2')}`)
  await assertInLayout(at('2'), [...Object.values(artefacts), signature])
  await succeed('import', `oci:${at('2')}`, '--referrers', '--data', at('data'))
  const stored = await succeed('ls', '--blobs', '--json', '--data', at('data'))
  for (const { digest } of partsOf(signature)) assert.ok(stored.includes(digest), digest)
})

test('artefacts of every kind are files of a static registry, with their referrers', async (t) => {
  const { at, succeed } = await startLab(t)
  await succeed(
    'export',
    ...names,
    '--referrers',
    '--from',
    `oci:${at('layout')}`,
    '--to',
    `static:${at('www')}`,
  )
  for (const [name, image] of Object.entries(artefacts)) {
    const folder = at(`www/v2/${name.split(':')[0]}`)
    assert.deepEqual(await readFile(join(folder, 'manifests/v1')), image.manifest.bytes)
    for (const one of 'images' in image ? image.images : [image]) {
      assert.deepEqual(await readFile(join(folder, `manifests/${one.manifest.digest}`)), one.manifest.bytes)
      for (const { digest, bytes } of one.blobs) {
        assert.deepEqual(await readFile(join(folder, `blobs/${digest}`)), bytes)
      }
    }
  }
  const listed = JSON.parse(
    await readFile(at(`www/v2/acme/model/referrers/${model.manifest.digest}`), 'utf8'),
  )
  assert.equal(listed.manifests[0].digest, signature.manifest.digest)
  assert.equal(listed.manifests[0].artifactType, 'application/vnd.acme.signature')
})

test('artefacts of every kind are served from local sources, with their referrers', async (t) => {
  const { at, succeed } = await startLab(t)
  await succeed('export', ...names, '--from', `oci:${at('layout')}`, '--to', `dir:${at('folders')}`)
  const agent = createAgent({
    data: at('data'),
    listen: { host: '127.0.0.1', port: 0 },
    sources: [
      { from: { kind: 'oci', path: at('layout') }, registry: 'layout.test', isExclusive: true },
      { from: { kind: 'dir', path: at('folders') }, registry: 'folders.test', isExclusive: true },
    ],
  })
  t.after(() => agent.stop({ drainMs: 0 }))
  await agent.start()
  const { port } = agent.addresses.registry
  const get = async (path: string, registry: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/v2/${path}?ns=${registry}`)
  for (const registry of ['layout.test', 'folders.test']) {
    for (const [reference, image] of Object.entries(artefacts)) {
      const name = reference.split(':')[0]
      const tagged = await get(`${name}/manifests/v1`, registry)
      assert.equal(tagged.status, 200, `${registry}/${reference} ${await tagged.clone().text()}`)
      assert.equal(tagged.headers.get('content-type'), image.manifest.mediaType)
      const root = registry === 'folders.test' ? bySha256(image.manifest) : image.manifest
      assert.equal(tagged.headers.get('docker-content-digest'), root.digest)
      for (const one of 'images' in image ? image.images : [{ ...image, manifest: root }]) {
        const manifest = await get(`${name}/manifests/${one.manifest.digest}`, registry)
        assert.deepEqual(Buffer.from(await manifest.arrayBuffer()), one.manifest.bytes)
        for (const { digest, bytes } of one.blobs) {
          const blob = await get(`${name}/blobs/${digest}`, registry)
          assert.equal(blob.status, 200, `${registry} ${name} ${digest}`)
          assert.deepEqual(Buffer.from(await blob.arrayBuffer()), bytes)
        }
      }
    }
  }
  const referrers = await get(`acme/model/referrers/${model.manifest.digest}`, 'layout.test')
  const { manifests } = (await referrers.json()) as { manifests: { digest: string; artifactType: string }[] }
  assert.deepEqual(
    manifests.map(({ digest, artifactType }) => [digest, artifactType]),
    [[signature.manifest.digest, 'application/vnd.acme.signature']],
  )
})

test('images of Docker schema 1 are refused with a sentence, whatever the way', async (t) => {
  const { at } = await startLab(t)
  const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const old = { digest: '', mediaType, bytes: Buffer.from(SCHEMA_1) }
  const image: Image = { manifest: bySha256(old), blobs: [], files: new Map() }
  await writeFiles(at('old'), layoutFiles({ 'acme/old:v1': image }))
  await writeFiles(
    at('folders/acme/old/v1'),
    new Map([
      ['version', Buffer.from('Directory Transport Version: 1.1\n')],
      ['manifest.json', old.bytes],
    ]),
  )
  for (const args of [
    ['import', `oci:${at('old')}`, '--data', at('data')],
    ['import', `dir:${at('folders')}`, '--data', at('data')],
    ['export', 'acme/old:v1', '--from', `oci:${at('old')}`, '--to', `oci:${at('out')}`],
    ['export', 'acme/old:v1', '--from', `dir:${at('folders')}`, '--to', `static:${at('out')}`],
  ]) {
    const { code, err } = await runInProcess(args)
    assert.equal(code, 1, args.join(' '))
    assert.match(err, /schema 1/i, args.join(' '))
  }
})
