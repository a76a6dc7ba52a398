import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { CADDY } from '../../../src/export/static/caddy.ts'
import { NGINX } from '../../../src/export/static/nginx.ts'
import { serverConfig } from '../../../src/export/static/server-config.ts'
import { StaticTree } from '../../../src/export/static/static-tree.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import {
  exportTo,
  filesIn,
  layoutReader,
  referrerOf,
  sha256,
  temporaryFolder,
  withSha512,
} from '../fixture.ts'

const app = buildImage('app')
const list = buildIndex('list')

function open(path: string, namePrefix = ''): Promise<StaticTree> {
  return StaticTree.open(path, { namePrefix })
}

async function json(path: string) {
  return JSON.parse(await readFile(path, 'utf8'))
}

test('the paths of the tree are those of the registry API', async (t) => {
  const path = await temporaryFolder(t)
  const strong = withSha512(buildImage('strong'))
  const reader = await layoutReader(t, { 'ghcr.io/acme/deep/list:v1': list, 'acme/strong:v2': strong })
  await exportTo(await open(path), reader, ['ghcr.io/acme/deep/list:v1', 'acme/strong:v2'])
  const at = (name: string, image: typeof app) => [
    ...image.blobs.map(({ digest }) => `v2/${name}/blobs/${digest}`),
    `v2/${name}/manifests/${image.manifest.digest}`,
  ]
  assert.deepEqual(
    await filesIn(path),
    [
      ...list.images.flatMap((image) => at('acme/deep/list', image)),
      ...[list.manifest.digest, 'v1'].map((reference) => `v2/acme/deep/list/manifests/${reference}`),
      'v2/acme/deep/list/tags/list',
      ...at('acme/strong', strong),
      'v2/acme/strong/manifests/v2',
      'v2/acme/strong/tags/list',
      'v2/index.html',
    ].sort(),
  )
  assert.deepEqual(await readFile(join(path, 'v2/acme/deep/list/manifests/v1')), list.manifest.bytes)
})

test('images of Docker Hub have both of their names, and each blob is one file', async (t) => {
  const path = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'busybox:1.36': app, 'acme/app:v1': app })
  await exportTo(await open(path), reader, ['busybox:1.36'])
  await exportTo(await open(path), reader, ['acme/app:v1'])
  const digest = app.blobs[1]?.digest ?? ''
  const found = await Promise.all(
    ['busybox', 'library/busybox', 'acme/app'].map((name) => stat(join(path, 'v2', name, 'blobs', digest))),
  )
  assert.equal(new Set(found.map(({ ino }) => ino)).size, 1)
})

test('a later export adds tags to those that are there', async (t) => {
  const path = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/app:v1': app, 'acme/app:v2': list })
  for (const name of ['acme/app:v2', 'acme/app:v1', `acme/app@${app.manifest.digest}`]) {
    await exportTo(await open(path, 'mirror/'), reader, [name])
  }
  const repository = join(path, 'v2/mirror/acme/app')
  assert.deepEqual(await json(join(repository, 'tags/list')), { name: 'mirror/acme/app', tags: ['v1', 'v2'] })
})

test('referrers are listed by the API and by the fallback tag, which is no tag of the list', async (t) => {
  const path = await temporaryFolder(t)
  const signature = referrerOf(app.manifest)
  const other = buildImage('signature by cosign')
  const cosignTag = `${app.manifest.digest.replace(':', '-')}.sig`
  const more = [signature.manifest, ...signature.blobs]
  const reader = await layoutReader(t, { 'acme/app:v1': app, [`acme/app:${cosignTag}`]: other }, { more })
  for (let i = 0; i < 2; i++) await exportTo(await open(path), reader, ['acme/app:v1'], { referrers: true })
  const repository = join(path, 'v2/acme/app')
  const bytes = await readFile(join(repository, 'referrers', app.manifest.digest))
  assert.deepEqual(JSON.parse(bytes.toString()).manifests, [
    {
      ...{ mediaType: signature.manifest.mediaType, digest: signature.manifest.digest },
      ...{ size: signature.manifest.bytes.length, artifactType: 'application/vnd.test.signature' },
      annotations: { 'org.test.kind': 'signature' },
    },
  ])
  for (const name of [app.manifest.digest.replace(':', '-'), sha256(bytes)]) {
    assert.deepEqual(await readFile(join(repository, 'manifests', name)), bytes)
  }
  assert.deepEqual((await json(join(repository, 'tags/list'))).tags, [cosignTag, 'v1'])
})

test('two images that would have the same name and tag are refused', async (t) => {
  const path = await temporaryFolder(t)
  const reader = await layoutReader(t, {
    'acme/app:v1': app,
    'ghcr.io/acme/app:v1': list,
    'quay.io/acme/app:v1': app,
  })
  await exportTo(await open(path), reader, ['acme/app:v1', 'quay.io/acme/app:v1'])
  await assert.rejects(
    exportTo(await open(path), reader, ['acme/app:v1', 'ghcr.io/acme/app:v1']),
    /docker\.io\/acme\/app:v1 and ghcr\.io\/acme\/app:v1 are different images that both would be acme\/app:v1 in the tree/,
  )
})

test('the configuration names every manifest with its type and digest, and the constants are a part of their own', async (t) => {
  const path = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/list:v1.0': list })
  await exportTo(await open(path), reader, ['acme/list:v1.0'])
  for (const syntax of [NGINX, CADDY]) {
    const config = (constants: 'with' | 'without' | 'only', serverRoot = '$images/"x\\') =>
      serverConfig(path, syntax, { serverRoot, constants })
    const [whole, without, only] = await Promise.all([config('with'), config('without'), config('only')])
    for (const { manifest } of [list, ...list.images]) {
      assert.ok(without.includes(manifest.digest) && without.includes(manifest.mediaType))
    }
    assert.ok(whole.includes('"$images/\\"x\\\\"'), 'the root is quoted, and variables stay')
    assert.ok(
      !without.includes('registry/2.0') && only.includes('registry/2.0') && !only.includes('acme/list'),
    )
    assert.equal(whole.length, without.length + only.length - syntax.comment.length - 1)
    await assert.rejects(config('with', 'a\nb'), /--server-root is empty or has a control character/)
  }
  await writeFile(join(path, 'v2/acme/list/manifests/v1.0'), 'damaged')
  await assert.rejects(
    serverConfig(path, NGINX, { serverRoot: '/x', constants: 'with' }),
    /manifests\/v1\.0 is damaged; remove it, and export the image again/,
  )
})
