import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { GarbageCollection } from '../../../src/hosted/garbage/garbage-collection.ts'
import { Retention, type RetentionRule } from '../../../src/hosted/garbage/retention.ts'
import { type Digest, hexOf } from '../../../src/oci/digest.ts'
import { OCI_INDEX } from '../../../src/oci/media-types.ts'
import type { Collected } from '../../../src/schemas/upkeep-report.ts'
import { keep } from '../../conformance/blob-steps.ts'
import { all, published } from '../../store/folder.ts'
import { listed, tick } from '../../store/stored-blobs.ts'
import {
  type HostedLab,
  hostedLab,
  imageOf,
  indexOf,
  manifestPush,
  NEVER,
  OTHER,
  pushBlob,
  pushImage,
  pushManifest,
  TEAM,
} from '../lab.ts'

interface CollectSettings {
  readonly graceMs?: number
  readonly rules?: readonly RetentionRule[]
  readonly isDryRun?: boolean
}

/** Collects garbage; without a grace period, everything that is there already is old. */
async function collect(
  { store, locks }: HostedLab,
  { graceMs = 0, rules = [], isDryRun = false }: CollectSettings = {},
): Promise<Collected[]> {
  await tick()
  const collection = new GarbageCollection(store, locks, new Retention(rules, graceMs))
  return all(collection.collect({ isDryRun, signal: NEVER }))
}

function digestsIn(lines: readonly Collected[], is: 'unlinked' | 'freed'): Digest[] {
  return lines.flatMap((line) => (line.is === is ? [line.digest as Digest] : []))
}

test('what no tag needs is unlinked and freed, and what a tag needs stays', async (t) => {
  const lab = await hostedLab(t)
  const kept = await pushImage(lab.registry, 'kept', { tags: ['v1'] })
  const dead = await pushImage(lab.registry, 'dead')
  const orphan = await pushBlob(lab.registry, randomBytes(10))
  const lines = await collect(lab)
  const gone = [...Object.values(dead), orphan].sort()
  assert.deepEqual(digestsIn(lines, 'unlinked').sort(), gone)
  assert.equal(digestsIn(lines, 'unlinked')[0], dead.image, 'manifests go before what they need')
  assert.deepEqual(digestsIn(lines, 'freed').sort(), gone)
  assert.deepEqual(await listed(lab.store), Object.values(kept).sort())
})

test('a dry run names the same and removes nothing', async (t) => {
  const lab = await hostedLab(t)
  await pushImage(lab.registry, 'kept', { tags: ['v1', 'pr-1'] })
  await pushImage(lab.registry, 'dead', { tags: ['pr-2'] })
  await pushImage(lab.registry, 'dead', { repository: OTHER })
  const rules = [{ names: ['team/**'], keepTags: ['v*'] }]
  const before = await listed(lab.store)
  const told = published(t, 'hosted.deleted')
  const dry = await collect(lab, { rules, isDryRun: true })
  assert.deepEqual(await listed(lab.store), before)
  assert.deepEqual((await lab.store.hosted.catalog.tagNames(TEAM)).length, 3)
  assert.deepEqual(told, [])
  assert.deepEqual(await collect(lab, { rules }), dry)
  assert.deepEqual(
    told.flatMap(({ kind, tags }) => (kind === 'tag' ? tags : [])),
    ['pr-1', 'pr-2'],
  )
  assert.deepEqual(
    told.filter(({ kind }) => kind !== 'tag').map(({ digest }) => digest),
    digestsIn(dry, 'unlinked'),
  )
  assert.deepEqual(await lab.store.hosted.catalog.tagNames(TEAM), ['v1'])
  assert.deepEqual(digestsIn(dry, 'freed').length, 3)
})

test('what was pushed within the grace period stays, and so does what a client was told of within it', async (t) => {
  const lab = await hostedLab(t, { graceMs: 0 })
  const told = await pushBlob(lab.registry, randomBytes(10))
  const { image } = await pushImage(lab.registry, 'told')
  const untold = await pushBlob(lab.registry, randomBytes(10))
  assert.deepEqual(await collect(lab, { graceMs: 60_000 }), [])
  const { catalog } = lab.store.hosted
  const pushedAt = (await catalog.link(TEAM, untold))?.linkedAt ?? 0
  await tick()
  const resolver = lab.resolver(undefined as never)
  await resolver.blobHead(TEAM, told, { signal: NEVER })
  await resolver.manifestHead(TEAM, image, { signal: NEVER })
  const now = Date.now()
  const retention = new Retention([], now - 1 - pushedAt)
  const collection = new GarbageCollection(lab.store, lab.locks, retention, () => now)
  const lines = await all(collection.collect({ isDryRun: false, signal: NEVER }))
  assert.deepEqual(digestsIn(lines, 'unlinked'), [untold])
})

test('an index keeps its images, and a live manifest keeps its referrers with all that they need', async (t) => {
  const lab = await hostedLab(t)
  const { image, config } = await pushImage(lab.registry, 'a')
  await pushManifest(lab.registry, indexOf(image), { tags: ['all'], mediaType: OCI_INDEX })
  const signature = await pushBlob(lab.registry, Buffer.from('signature'))
  const signed = await pushManifest(lab.registry, imageOf({ config, layers: [signature], subject: image }))
  const countersigned = await pushManifest(lab.registry, imageOf({ config, layers: [], subject: signed }))
  assert.deepEqual(digestsIn(await collect(lab), 'unlinked'), [])
  await lab.registry.deleteTag(TEAM, 'all')
  const order = digestsIn(await collect(lab), 'unlinked')
  assert.ok(order.indexOf(image) < order.indexOf(signed))
  assert.ok(order.indexOf(signed) < order.indexOf(countersigned))
  assert.deepEqual(await listed(lab.store), [])
})

test('a pinned manifest stays with all that it needs', async (t) => {
  const lab = await hostedLab(t)
  const { image } = await pushImage(lab.registry, 'a')
  await lab.store.pin(image)
  assert.deepEqual(digestsIn(await collect(lab), 'unlinked'), [])
})

test('content that came into the store by a pull stays as cache', async (t) => {
  const lab = await hostedLab(t)
  const bytes = randomBytes(10)
  const cached = await keep(lab.store.blobs, bytes)
  await pushBlob(lab.registry, bytes)
  const pulledLater = await pushBlob(lab.registry, randomBytes(11))
  await lab.store.catalog.rememberKnownName({ registry: 'docker.io', name: 'library/x' }, pulledLater)
  const lines = await collect(lab)
  assert.deepEqual(digestsIn(lines, 'unlinked').sort(), [cached, pulledLater].sort())
  assert.deepEqual(digestsIn(lines, 'freed'), [])
})

test('a blob that another repository has stays stored', async (t) => {
  const lab = await hostedLab(t)
  const { layer } = await pushImage(lab.registry, 'a', { tags: ['v1'] })
  assert.equal(await lab.registry.mount(OTHER, layer, TEAM), true)
  const lines = await collect(lab)
  assert.deepEqual(digestsIn(lines, 'unlinked'), [layer])
  assert.deepEqual(digestsIn(lines, 'freed'), [])
})

test('nothing is removed from a repository whose live manifest is lost', async (t) => {
  const lab = await hostedLab(t)
  const config = await pushBlob(lab.registry, Buffer.from('{}'))
  // A small manifest has no file that could be lost.
  const large = imageOf({ config, layers: [], annotations: { long: 'x'.repeat(100_000) } })
  const image = await pushManifest(lab.registry, large, { tags: ['v1'] })
  await rm(join(lab.path, 'blobs', 'sha256', hexOf(image).slice(0, 2), hexOf(image)))
  assert.equal(await lab.store.blobs.open(image), undefined)
  const lines = await collect(lab)
  assert.deepEqual(
    lines.map(({ is }) => is),
    ['skipped'],
  )
  await pushManifest(lab.registry, large)
  assert.deepEqual(digestsIn(await collect(lab), 'unlinked'), [])
})

test('a blob that nobody needed stays if a manifest with it is pushed at any moment of a collection', async (t) => {
  const lab = await hostedLab(t)
  let taken = 0
  for (let round = 0; round < 40; round++) {
    const config = await pushBlob(lab.registry, Buffer.from(`{"round":${round}}`))
    await tick()
    const collecting = collect(lab)
    for (let turn = 0; turn < round * 25; turn++) await new Promise((resolve) => setImmediate(resolve))
    const push = manifestPush(imageOf({ config, layers: [] }), [`v${round}`])
    const answer = await lab.registry.putManifest(TEAM, push)
    await collecting
    if ('refusal' in answer) {
      assert.deepEqual(answer.refusal, { kind: 'missing', missing: [config] })
      continue
    }
    taken += 1
    assert.ok(await lab.store.hosted.catalog.link(TEAM, config), `after ${round} rounds`)
    assert.ok(
      await lab.store.blobs.open(config).then(async (content) => {
        await content?.close()
        return content
      }),
    )
  }
  t.diagnostic(`${taken} of 40 manifests came in time`)
})
