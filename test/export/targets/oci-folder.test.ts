import assert from 'node:assert/strict'
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { OciFolder } from '../../../src/export/targets/oci-folder.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { exportTo, filesIn, layoutReader, referrerOf, temporaryFolder, withSha512 } from '../fixture.ts'

const app = buildImage('app')
const list = buildIndex('list')

async function indexOf(path: string) {
  return JSON.parse(await readFile(join(path, 'index.json'), 'utf8'))
}

test('a layout has every content under its digest, and images under their whole reference', async (t) => {
  const path = join(await temporaryFolder(t), 'new/layout')
  const strong = withSha512(buildImage('strong'))
  const reader = await layoutReader(t, { 'acme/list:v1': list, 'ghcr.io/acme/strong:v2': strong })
  await exportTo(await OciFolder.open(path), reader, ['acme/list:v1', 'ghcr.io/acme/strong:v2'])
  for (const { digest, bytes } of [...partsOf(list), ...partsOf(strong)]) {
    assert.deepEqual(await readFile(join(path, 'blobs', digest.replace(':', '/'))), bytes)
  }
  const { schemaVersion, manifests } = await indexOf(path)
  assert.equal(schemaVersion, 2)
  const named = (name: string) => ({
    'org.opencontainers.image.ref.name': name,
    'io.containerd.image.name': name,
  })
  assert.deepEqual(manifests, [
    {
      ...{
        mediaType: list.manifest.mediaType,
        digest: list.manifest.digest,
        size: list.manifest.bytes.length,
      },
      annotations: named('docker.io/acme/list:v1'),
    },
    {
      ...{ mediaType: strong.manifest.mediaType, digest: strong.manifest.digest },
      ...{ size: strong.manifest.bytes.length, artifactType: 'application/vnd.oci.image.config.v1+json' },
      annotations: named('ghcr.io/acme/strong:v2'),
    },
  ])
})

test('images are added to a layout of another program, whose index is kept but for the tag that moves', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'target')
  const files = layoutFiles({ 'docker.io/acme/app:v1': app, theirs: buildImage('theirs') })
  const index = JSON.parse(Buffer.from(files.get('index.json') ?? '').toString())
  index.annotations = { 'org.test.kept': 'yes' }
  index.manifests[1].unknown = 'kept'
  await writeFiles(path, files.set('index.json', Buffer.from(JSON.stringify(index))))
  const moved = buildImage('moved')
  await exportTo(await OciFolder.open(path), await layoutReader(t, { 'acme/app:v1': moved }), ['acme/app:v1'])
  const merged = await indexOf(path)
  assert.deepEqual(merged.annotations, { 'org.test.kept': 'yes' })
  assert.equal(merged.manifests[0].unknown, 'kept')
  assert.deepEqual(
    merged.manifests.map(({ digest }: { digest: string }) => digest),
    [index.manifests[1].digest, moved.manifest.digest],
  )
})

test('referrers are listed without a name, once, and an image by its digest has it in its name', async (t) => {
  const path = join(await temporaryFolder(t), 'target')
  const signature = referrerOf(app.manifest)
  const more = [signature.manifest, ...signature.blobs]
  const reader = await layoutReader(t, { 'acme/app:v1': app }, { more })
  const byDigest = `acme/app@${app.manifest.digest}`
  for (const names of [['acme/app:v1'], [byDigest]]) {
    await exportTo(await OciFolder.open(path), reader, names, { referrers: true })
  }
  const { manifests } = await indexOf(path)
  assert.deepEqual(
    manifests.map(
      (entry: { annotations?: Record<string, string> }) =>
        entry.annotations?.['org.opencontainers.image.ref.name'],
    ),
    ['docker.io/acme/app:v1', `docker.io/${byDigest}`, undefined],
  )
})

test('folders of something else and layouts of another version are refused, and nothing in them changes', async (t) => {
  const folder = await temporaryFolder(t)
  const layout = (name: string, files: Readonly<Record<string, string>>) =>
    writeFiles(
      join(folder, name),
      new Map(Object.entries(files).map(([file, text]) => [file, Buffer.from(text)])),
    )
  await layout('other', { 'readme.txt': 'mine' })
  await layout('newer', { 'oci-layout': '{"imageLayoutVersion":"2.0.0"}', 'index.json': '{}' })
  await layout('unversioned', { 'index.json': '{}' })
  await layout('broken', { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}', 'index.json': '[]' })
  const before = await filesIn(folder)
  const refused = (name: string, message: RegExp) =>
    assert.rejects(OciFolder.open(join(folder, name)), message)
  await refused('other', /other holds other files than an OCI layout; write to an empty folder/)
  await refused(
    'newer',
    /newer is an OCI layout of version "2\.0\.0", but this agent writes version 1\.0\.0; write elsewhere/,
  )
  await refused('unversioned', /unversioned is no OCI layout: it has no file oci-layout with a version/)
  await refused('broken', /broken has an index\.json that is no image index; repair it, or write elsewhere/)
  assert.deepEqual(await filesIn(folder), before)
})

test('the partial files of an export that was killed are removed when nobody writes to them any more', async (t) => {
  const path = join(await temporaryFolder(t), 'target')
  const blobs = join(path, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })
  const [old, young] = [join(blobs, '.leat-partial-old'), join(blobs, '.leat-partial-young')]
  for (const file of [old, young]) await writeFile(file, 'half')
  await utimes(old, new Date(0), new Date(0))
  await (await OciFolder.open(path)).close()
  assert.deepEqual(await filesIn(blobs), ['.leat-partial-young'])
})
