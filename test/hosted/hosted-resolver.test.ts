import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { hexOf } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { ManifestAnswer, Resolver } from '../../src/ports/resolver.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { keep, readContent } from '../conformance/blob-steps.ts'
import { published } from '../store/folder.ts'
import { hostedLab, imageOf, NEVER, OTHER, pushBlob, pushImage, pushManifest, TEAM } from './lab.ts'

const options = { signal: NEVER }
const ALPINE = { registry: 'docker.io', name: 'library/alpine' }

/** A resolver that nobody may ask, except where a test says so. */
function nobody(own: Partial<Resolver> = {}): Resolver {
  const refuse = (): never => assert.fail('a hosted repository is asked for nowhere else')
  return {
    blob: refuse,
    blobHead: refuse,
    manifestHead: refuse,
    manifestByDigest: refuse,
    manifestByTag: refuse,
    tags: refuse,
    referrers: refuse,
    repositories: async () => [ALPINE],
    isPrivate: refuse,
    ...own,
  }
}

test('a pushed image is pulled by tag and by digest', async (t) => {
  const lab = await hostedLab(t)
  const resolver = lab.resolver(nobody())
  const { image, layer } = await pushImage(lab.registry, 'a', { tags: ['v1'] })
  const byTag = await resolver.manifestByTag(TEAM, 'v1', options)
  const byDigest = await resolver.manifestByDigest(TEAM, image, options)
  assert.equal(byTag.digest, image)
  assert.deepEqual(byTag, byDigest)
  assert.deepEqual(byTag.cacheResult, { kind: 'hit' })
  assert.ok(byTag.body instanceof Uint8Array)
  assert.equal(digestOf(byTag.body), image)
  const { content } = await resolver.blob(TEAM, layer, options)
  assert.deepEqual(await readContent(content), Buffer.from('layer a'))
  await content.close()
  assert.equal((await resolver.blobHead(TEAM, layer, options)).size, 7)
  assert.equal((await resolver.manifestHead(TEAM, image, options)).mediaType, OCI_MANIFEST)
  assert.equal(await resolver.isPrivate(TEAM), false)
})

test('a tag that has moved or gone is answered so from the moment on at which that is done', async (t) => {
  const lab = await hostedLab(t)
  const resolver = lab.resolver(nobody())
  const images = [await pushImage(lab.registry, 'a', { tags: ['v1'] }), await pushImage(lab.registry, 'b')]
  const digestOfTag = async () => (await resolver.manifestByTag(TEAM, 'v1', options)).digest
  const contents = images.map(({ config, layer }) => imageOf({ config, layers: [layer] }))
  for (let move = 0; move < 20; move++) {
    const bytes = contents[move % 2] ?? assert.fail()
    // Pulls are under way while the tag moves.
    const pulls = [digestOfTag(), digestOfTag()]
    const pushing = pushManifest(lab.registry, bytes, { tags: ['v1'] })
    pulls.push(digestOfTag())
    const digest = await pushing
    assert.equal(await digestOfTag(), digest)
    await Promise.all(pulls)
    assert.equal(await digestOfTag(), digest)
  }
  const pulls = [digestOfTag().catch(() => {}), digestOfTag().catch(() => {})]
  assert.equal(await lab.registry.deleteTag(TEAM, 'v1'), true)
  await assert.rejects(digestOfTag(), { code: 'absent' })
  await Promise.all(pulls)
  await assert.rejects(digestOfTag(), { code: 'absent' })
})

test('a large manifest is sent from its file', async (t) => {
  const lab = await hostedLab(t)
  const config = await pushBlob(lab.registry, Buffer.from('{}'))
  const annotations = { long: 'x'.repeat(100_000) }
  const digest = await pushManifest(lab.registry, imageOf({ config, layers: [], annotations }), {
    tags: ['v1'],
  })
  const { body, size }: ManifestAnswer = await lab.resolver(nobody()).manifestByTag(TEAM, 'v1', options)
  assert.ok(!(body instanceof Uint8Array))
  const bytes = await readContent(body)
  await body.close()
  assert.deepEqual([digestOf(bytes), bytes.length], [digest, size])
})

test('what was not pushed to a hosted repository is absent, also when it is stored', async (t) => {
  const lab = await hostedLab(t)
  const resolver = lab.resolver(nobody())
  const { image, layer } = await pushImage(lab.registry, 'a', { tags: ['v1'] })
  const cached = await keep(lab.store.blobs, randomBytes(10))
  const absent = { code: 'absent' }
  await assert.rejects(resolver.blob(TEAM, cached, options), absent)
  await assert.rejects(resolver.blobHead(OTHER, layer, options), absent)
  await assert.rejects(resolver.manifestByDigest(OTHER, image, options), absent)
  await assert.rejects(resolver.manifestByDigest(TEAM, layer, options), absent)
  await assert.rejects(resolver.manifestByTag(TEAM, 'v2', options), absent)
  await assert.rejects(resolver.manifestHead(TEAM, digestOf(randomBytes(3)), options), absent)
  await assert.rejects(resolver.tags(OTHER, options), absent)
})

test('all other repositories are the next resolver’s', async (t) => {
  const lab = await hostedLab(t)
  const tags = { tags: ['3'], cacheResult: { kind: 'revalidated' } } as const
  const resolver = lab.resolver(nobody({ tags: async () => tags, isPrivate: async () => true }))
  assert.equal(await resolver.tags(ALPINE, options), tags)
  assert.equal(await resolver.isPrivate(ALPINE), true)
})

test('tags and repositories are listed in ASCII order', async (t) => {
  const lab = await hostedLab(t)
  await pushImage(lab.registry, 'a', { tags: ['v2', 'V1', 'v10', '_', '1'] })
  await pushImage(lab.registry, 'b', { repository: { registry: 'localhost', name: 'team/app-b' } })
  await pushImage(lab.registry, 'c', { repository: { registry: 'localhost', name: 'team/app/c' } })
  const resolver = lab.resolver(nobody())
  assert.deepEqual((await resolver.tags(TEAM, options)).tags, ['1', 'V1', '_', 'v10', 'v2'])
  assert.deepEqual(
    (await resolver.repositories()).map(({ name }) => name),
    ['library/alpine', 'team/app', 'team/app-b', 'team/app/c'],
  )
})

test('a repository without tags has an empty list of them', async (t) => {
  const lab = await hostedLab(t)
  await pushImage(lab.registry, 'a')
  assert.deepEqual((await lab.resolver(nobody()).tags(TEAM, options)).tags, [])
})

test('a referrer is listed as soon as it is pushed, also before its subject, and only in its repository', async (t) => {
  const lab = await hostedLab(t)
  const resolver = lab.resolver(nobody())
  const config = await pushBlob(lab.registry, Buffer.from('{}'))
  const subject = digestOf(imageOf({ config, layers: [] }))
  const annotations = { made: 'today' }
  const sbom = await pushManifest(
    lab.registry,
    imageOf({ config, layers: [], subject, artifactType: 'application/x-sbom', annotations }),
  )
  const listed = async (repository = TEAM) =>
    JSON.parse(Buffer.from((await resolver.referrers(repository, subject, options)).index).toString())
  const { manifests, ...index } = await listed()
  assert.deepEqual(index, { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' })
  assert.deepEqual(
    manifests.map(({ size: _, ...rest }: { size: number }) => rest),
    [{ mediaType: OCI_MANIFEST, digest: sbom, artifactType: 'application/x-sbom', annotations }],
  )
  assert.deepEqual((await listed(OTHER)).manifests, [])
  await lab.registry.deleteManifest(TEAM, sbom)
  assert.deepEqual((await listed()).manifests, [])
})

test('a pull marks its tag, at most once in some minutes', async (t) => {
  const lab = await hostedLab(t)
  await pushImage(lab.registry, 'a', { tags: ['v1'] })
  const resolver = lab.resolver(nobody())
  const { catalog } = lab.store.hosted
  assert.equal((await catalog.tag(TEAM, 'v1'))?.pulledAt, undefined)
  await resolver.manifestByTag(TEAM, 'v1', options)
  let first: number | undefined
  // The pull does not wait for the mark.
  while (first === undefined) first = (await catalog.tag(TEAM, 'v1'))?.pulledAt
  assert.ok(first > 0)
  const before = Date.now()
  while (Date.now() === before) await new Promise((resolve) => setImmediate(resolve))
  await resolver.manifestByTag(TEAM, 'v1', options)
  assert.equal((await catalog.tag(TEAM, 'v1'))?.pulledAt, first)
})

test('hosted content that has rotted is absent and told, and is there again once it is pushed', async (t) => {
  const lab = await hostedLab(t)
  const lost = published(t, 'hosted.lost')
  const resolver = lab.resolver(nobody())
  const bytes = randomBytes(100)
  const digest = await pushBlob(lab.registry, bytes)
  const file = join(lab.path, 'blobs', 'sha256', hexOf(digest).slice(0, 2), hexOf(digest))
  await writeFile(file, 'short')
  await assert.rejects(resolver.blob(TEAM, digest, options), { code: 'absent' })
  await assert.rejects(resolver.blobHead(TEAM, digest, options), { code: 'absent' })
  assert.deepEqual(lost, [{ digest, repositories: [TEAM] }])
  await pushBlob(lab.registry, bytes)
  assert.equal((await resolver.blobHead(TEAM, digest, options)).size, 100)
})
