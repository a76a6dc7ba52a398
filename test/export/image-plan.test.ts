import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { planImage } from '../../src/export/image-plan.ts'
import { ExportError } from '../../src/export/targets/export-error.ts'
import { type PlatformSelection, parsePlatforms } from '../../src/oci/index-selection.ts'
import { Failure } from '../../src/ports/failure.ts'
import { buildImage, buildIndex } from '../../testkit/registries/image.ts'
import {
  indexWithSha512,
  layoutReader,
  reference,
  referrerOf,
  temporaryFolder,
  withSha512,
} from './fixture.ts'

const { signal } = new AbortController()
const list = buildIndex('list', ['amd64', 'arm64', 's390x'])

function platforms(...texts: string[]): PlatformSelection {
  const selection = parsePlatforms(texts, 'all')
  assert.ok(selection.ok)
  return selection.value
}

function plan(
  reader: Parameters<typeof planImage>[0],
  name: string,
  selection: PlatformSelection = 'all',
  referrers = false,
) {
  return planImage(reader, { reference: reference(name), selection, referrers }, { signal })
}

test('manifests come after those that they list, and every blob once', async (t) => {
  const reader = await layoutReader(t, { 'acme/list:v1': list })
  const image = await plan(reader, 'acme/list:v1')
  assert.equal(image.root.digest, list.manifest.digest)
  assert.deepEqual(
    image.manifests.map(({ digest }) => digest),
    [...list.images.map(({ manifest }) => manifest.digest), list.manifest.digest],
  )
  assert.equal(
    image.blobs.length,
    new Set(list.images.flatMap(({ blobs }) => blobs.map(({ digest }) => digest))).size,
  )
})

test('only the images of the given platforms are planned, and the index stays as it is', async (t) => {
  const reader = await layoutReader(t, {
    'acme/list:v1': list,
    'acme/arm:v1': buildImage('arm', { architecture: 'arm64' }),
  })
  const { manifests, root } = await plan(reader, 'acme/list:v1', platforms('linux/arm64'))
  assert.equal(root.digest, list.manifest.digest)
  assert.equal(manifests.length, 2)
  assert.equal((await plan(reader, 'acme/arm:v1', platforms('linux/arm64'))).manifests.length, 1)
  await assert.rejects(plan(reader, 'acme/list:v1', platforms('linux/riscv64')), {
    message: 'it has no image for linux/riscv64; available: linux/amd64, linux/arm64, linux/s390x',
  })
  await assert.rejects(plan(reader, 'acme/arm:v1', platforms('linux/amd64')), {
    message: 'it has no image for linux/amd64; available: linux/arm64',
  })
})

test('an image that is there for some platforms only is exported for those that are named', async (t) => {
  const folder = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/list:v1': list }, { folder })
  const missing = list.images[2]?.manifest.digest ?? ''
  await rm(join(folder, 'layout/blobs', missing.replace(':', '/')))
  await assert.rejects(
    plan(reader, 'acme/list:v1'),
    (error) =>
      error instanceof ExportError &&
      /linux\/s390x, which is not there; name with --platform/.test(error.message),
  )
  assert.equal(
    (await plan(reader, 'acme/list:v1', platforms('linux/amd64', 'linux/arm64'))).manifests.length,
    3,
  )
})

test('referrers are planned with the referrers that they have, if they are asked for', async (t) => {
  const app = buildImage('signed')
  const signature = referrerOf(app.manifest)
  const countersignature = referrerOf(signature.manifest)
  const more = [signature, countersignature].flatMap(({ manifest, blobs }) => [manifest, ...blobs])
  const reader = await layoutReader(t, { 'acme/app:v1': app }, { more })
  assert.equal((await plan(reader, 'acme/app:v1')).manifests.length, 1)
  const { manifests, referrers, blobs } = await plan(reader, 'acme/app:v1', 'all', true)
  const digests = [app, signature, countersignature].map(({ manifest }) => manifest.digest)
  assert.deepEqual(
    manifests.map(({ digest }) => digest),
    digests,
  )
  assert.deepEqual(
    referrers.map(({ digest }) => digest),
    digests.slice(1),
  )
  assert.equal(blobs.length, app.blobs.length + 3)
})

test('the signatures of cosign are found by their tags', async (t) => {
  const app = buildImage('signed')
  const tag = `${app.manifest.digest.replace(':', '-')}.sig`
  const signature = buildImage('signature')
  const reader = await layoutReader(t, { 'acme/app:v1': app, [`acme/app:${tag}`]: signature })
  const { referrerTags } = await plan(reader, 'acme/app:v1', 'all', true)
  assert.deepEqual(
    [...referrerTags].map(([name, { digest }]) => [name, digest]),
    [[tag, signature.manifest.digest]],
  )
})

test('contents may be named by SHA-512', async (t) => {
  const index = indexWithSha512([withSha512(buildImage('one')), withSha512(buildImage('two'))])
  const reader = await layoutReader(t, { 'acme/list:v1': index })
  const { manifests, blobs } = await plan(reader, 'acme/list:v1')
  assert.deepEqual(
    manifests.map(({ digest }) => digest.slice(0, 7)),
    ['sha512:', 'sha512:', 'sha256:'],
  )
  assert.ok(blobs.every(({ digest }) => digest.startsWith('sha512:')))
})

test('what does not exist, and schema 1, are refused with a sentence', async (t) => {
  const bytes = Buffer.from('{"schemaVersion":1,"fsLayers":[]}')
  const reader = {
    manifest: async () => ({
      bytes,
      mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
      digest: undefined,
    }),
    blob: async function* () {},
    referrers: async () => [],
  }
  await assert.rejects(
    plan(reader, 'acme/old:v1'),
    /it has an unusable manifest sha256:\S+: this is a schema 1 manifest/,
  )
  const damaged = { ...reader, manifest: async () => ({ bytes, mediaType: undefined, digest: undefined }) }
  await assert.rejects(
    plan(damaged, `acme/old@sha256:${'0'.repeat(64)}`),
    /it has a damaged manifest: the bytes of/,
  )
  await assert.rejects(
    plan(await layoutReader(t, { 'acme/list:v1': list }), 'acme/none:v1'),
    (error) => error instanceof Failure && error.code === 'absent',
  )
})
