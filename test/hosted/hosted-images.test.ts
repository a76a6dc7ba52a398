import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { ManifestToPush } from '../../src/ports/hosted.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { keep } from '../conformance/blob-steps.ts'
import { all } from '../store/folder.ts'
import {
  type HostedLab,
  hostedLab,
  imageOf,
  indexOf,
  manifestPush,
  OTHER,
  pushBlob,
  pushImage,
  pushManifest,
  TEAM,
} from './lab.ts'

const ALPINE = { registry: 'docker.io', name: 'library/alpine' }

async function tagsOf({ store }: HostedLab, repository = TEAM): Promise<string[]> {
  return (await all(store.hosted.catalog.tags(repository))).map(({ tag, digest }) => `${tag} ${digest}`)
}

test('a manifest is taken with all its tags when the repository has what it needs', async (t) => {
  const lab = await hostedLab(t)
  const { image } = await pushImage(lab.registry, 'a', { tags: ['v1', 'latest'] })
  assert.deepEqual(await tagsOf(lab), [`latest ${image}`, `v1 ${image}`])
  assert.deepEqual(await lab.store.hosted.catalog.link(TEAM, image), {
    digest: image,
    kind: 'manifest',
    mediaType: OCI_MANIFEST,
    linkedAt: (await lab.store.hosted.catalog.link(TEAM, image))?.linkedAt,
  })
  assert.deepEqual(await lab.store.catalog.repositories(), [])
  assert.deepEqual(
    (await all(lab.store.tags())).map(({ tag, isHosted }) => [tag, isHosted]),
    [
      ['latest', true],
      ['v1', true],
    ],
  )
})

test('a manifest whose parts are missing, or only in another repository, is refused with their names', async (t) => {
  const lab = await hostedLab(t)
  const config = await pushBlob(lab.registry, Buffer.from('{}'), OTHER)
  const layer = await pushBlob(lab.registry, Buffer.from('layer'))
  const absent = digestOf(randomBytes(3))
  const push = manifestPush(imageOf({ config, layers: [layer, absent] }), ['v1'])
  assert.deepEqual(await lab.registry.putManifest(TEAM, push), {
    refusal: { kind: 'missing', missing: [config, absent] },
  })
  assert.deepEqual(await tagsOf(lab), [])
  assert.equal(await lab.store.blobs.facts(digestOf(push.bytes)), undefined)
})

test('an index needs its manifests, and a subject may be missing', async (t) => {
  const lab = await hostedLab(t)
  const { image, config, layer } = await pushImage(lab.registry, 'a')
  const absent = digestOf(randomBytes(3))
  assert.deepEqual(await lab.registry.putManifest(TEAM, manifestPush(indexOf(absent), [], OCI_INDEX)), {
    refusal: { kind: 'missing', missing: [absent] },
  })
  await pushManifest(lab.registry, indexOf(image), { tags: ['all'], mediaType: OCI_INDEX })
  const answer = await lab.registry.putManifest(
    TEAM,
    manifestPush(imageOf({ config, layers: [layer], subject: absent })),
  )
  assert.ok('pushed' in answer)
  assert.equal(answer.pushed.subject, absent)
})

test('a manifest is stored under the digest that its client names, also of sha512', async (t) => {
  const lab = await hostedLab(t)
  const config = await pushBlob(lab.registry, Buffer.from('{}'))
  const bytes = imageOf({ config, layers: [] })
  const digest = digestOf(bytes, 'sha512')
  const put = (push: Partial<ManifestToPush>) =>
    lab.registry.putManifest(TEAM, { ...manifestPush(bytes), ...push })
  assert.deepEqual(await put({ digest, tags: ['a', 'b'] }), { pushed: { digest, subject: undefined } })
  assert.deepEqual(await put({ algorithm: 'sha512', tags: ['c'] }), {
    pushed: { digest, subject: undefined },
  })
  assert.deepEqual(await tagsOf(lab), [`a ${digest}`, `b ${digest}`, `c ${digest}`])
  assert.deepEqual(await put({ digest: digestOf(randomBytes(2)) }), {
    refusal: { kind: 'wrong-digest', found: digestOf(bytes) },
  })
})

test('a manifest of more than 4 MiB is too large', async (t) => {
  const lab = await hostedLab(t)
  const bytes = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
  await assert.rejects(lab.registry.putManifest(TEAM, manifestPush(bytes)), { code: 'too-large' })
})

test('a tag moves to the manifest that was pushed last', async (t) => {
  const lab = await hostedLab(t)
  await pushImage(lab.registry, 'a', { tags: ['v1'] })
  const { image } = await pushImage(lab.registry, 'b', { tags: ['v1'] })
  assert.deepEqual(await tagsOf(lab), [`v1 ${image}`])
})

test('a blob is mounted from a hosted repository and from a cached one, and from no other', async (t) => {
  const lab = await hostedLab(t)
  const pushed = await pushBlob(lab.registry, Buffer.from('pushed'), OTHER)
  const cached = await keep(lab.store.blobs, Buffer.from('cached'))
  assert.equal(await lab.registry.mount(TEAM, pushed, OTHER), true)
  assert.equal(await lab.registry.mount(TEAM, cached, OTHER), false)
  assert.equal(await lab.registry.mount(TEAM, cached, { ...ALPINE, name: 'library/other' }), false)
  assert.equal(await lab.registry.mount(TEAM, cached, ALPINE), true)
  assert.equal(await lab.registry.mount(TEAM, digestOf(randomBytes(3)), ALPINE), false)
  assert.deepEqual(
    (await all(lab.store.hosted.catalog.links(TEAM))).map(({ digest }) => digest),
    [pushed, cached].sort(),
  )
})

test('what is deleted is gone from its repository alone', async (t) => {
  const lab = await hostedLab(t)
  const { image, layer } = await pushImage(lab.registry, 'a', { tags: ['v1', 'v2'] })
  await pushImage(lab.registry, 'a', { tags: ['v1'], repository: OTHER })
  assert.equal(await lab.registry.deleteTag(TEAM, 'v2'), true)
  assert.equal(await lab.registry.deleteTag(TEAM, 'v2'), false)
  assert.deepEqual(await tagsOf(lab), [`v1 ${image}`])
  assert.equal(await lab.registry.deleteBlob(TEAM, image), false, 'a manifest is no blob')
  assert.equal(await lab.registry.deleteManifest(TEAM, layer), false, 'a blob is no manifest')
  assert.equal(await lab.registry.deleteManifest(TEAM, image), true)
  assert.equal(await lab.registry.deleteManifest(TEAM, image), false)
  assert.deepEqual(await tagsOf(lab), [])
  assert.equal(await lab.registry.deleteBlob(TEAM, layer), true)
  assert.equal(await lab.registry.deleteBlob(TEAM, layer), false)
  assert.deepEqual(await tagsOf(lab, OTHER), [`v1 ${image}`])
  assert.ok(await lab.store.blobs.facts(layer))
})

test('what was pushed as a manifest stays one when its bytes are pushed as a blob', async (t) => {
  const lab = await hostedLab(t)
  const config = await pushBlob(lab.registry, Buffer.from('{}'))
  const bytes = imageOf({ config, layers: [] })
  const digest = await pushManifest(lab.registry, bytes, { tags: ['v1'] })
  await pushBlob(lab.registry, bytes)
  assert.equal((await lab.store.hosted.catalog.link(TEAM, digest))?.kind, 'manifest')
  assert.deepEqual(await lab.store.references(digest), [config])
})

test('a manifest pushed while its blob is deleted finds the blob, or is refused', async (t) => {
  const lab = await hostedLab(t)
  for (let round = 0; round < 40; round++) {
    const config = await pushBlob(lab.registry, Buffer.from(`{"n":${round}}`))
    const push = manifestPush(imageOf({ config, layers: [] }), [`v${round}`])
    const [answer, isDeleted] = await Promise.all(
      round % 2 === 0
        ? [lab.registry.putManifest(TEAM, push), lab.registry.deleteBlob(TEAM, config)]
        : ((
            [lab.registry.deleteBlob(TEAM, config), lab.registry.putManifest(TEAM, push)] as const
          ).toReversed() as [ReturnType<typeof lab.registry.putManifest>, Promise<boolean>]),
    )
    assert.equal(isDeleted, true)
    if ('refusal' in answer) assert.equal(answer.refusal.kind, 'missing')
  }
})
