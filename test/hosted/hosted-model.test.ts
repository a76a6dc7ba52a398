import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { GarbageCollection } from '../../src/hosted/garbage/garbage-collection.ts'
import { Retention } from '../../src/hosted/garbage/retention.ts'
import { HostedImages, linkedUploads } from '../../src/hosted/hosted-images.ts'
import { HostedUploads } from '../../src/hosted/uploads/hosted-uploads.ts'
import { SharedLocks } from '../../src/lib/async/shared-locks.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import { all, folder, openStore } from '../store/folder.ts'
import { tick } from '../store/stored-blobs.ts'
import { imageOf, manifestPush, NEVER, OTHER, pushBlob, TEAM } from './lab.ts'

/** Random steps on hosted repositories, and what a plain model says of them. */

const REPOSITORIES = [TEAM, OTHER]
const BLOBS = [0, 1, 2].map((number) => Buffer.from(`blob ${number}`))
/** Manifest `n` needs blob `n` as its config, and the next blob as its layer. */
const MANIFESTS = BLOBS.map((_, n) => ({ bytes: manifestBytes(n), needs: [blobAt(n), blobAt(n + 1)] }))

interface RepositoryModel {
  readonly links: Set<Digest>
  readonly tags: Map<string, Digest>
}

type Model = ReadonlyMap<Repository, RepositoryModel>

interface Node {
  readonly store: Store
  readonly registry: HostedImages
  readonly uploads: HostedUploads
  readonly locks: SharedLocks
}

function blobAt(n: number): Digest {
  return digestOf(BLOBS[n % BLOBS.length] ?? Buffer.alloc(0))
}

function manifestBytes(n: number): Buffer {
  return imageOf({ config: blobAt(n), layers: [blobAt(n + 1)] })
}

async function open(path: string): Promise<Node> {
  const store = await openStore({ path })
  const locks = new SharedLocks()
  const uploads = new HostedUploads(store.hosted.uploads, linkedUploads(locks))
  const cached = { state: async () => undefined }
  const registry = new HostedImages({ store: store.hosted, uploads, isHosted: () => true, cached, locks })
  return { store, registry, uploads, locks }
}

async function close({ store, uploads }: Node): Promise<void> {
  await uploads.close()
  await store.close()
}

const repository = fc.constantFrom(...REPOSITORIES)
const number = fc.integer({ min: 0, max: BLOBS.length - 1 })
const tag = fc.constantFrom('a', 'b')
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('push blob' as const), repository, number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mount' as const), repository, number }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('push manifest' as const),
      repository,
      number,
      tags: fc.uniqueArray(tag, { maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete tag' as const), repository, tag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete manifest' as const), repository, number }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete blob' as const), repository, number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('collect' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

function of(model: Model, one: Repository): RepositoryModel {
  const found = model.get(one)
  if (found === undefined) throw new Error('the model has all repositories')
  return found
}

/** What tags reach stays; everything is old, as there is no grace period. */
function collectInModel(model: Model): void {
  for (const { links, tags } of model.values()) {
    const live = new Set(tags.values())
    for (const { bytes, needs } of MANIFESTS)
      if (live.has(digestOf(bytes))) for (const one of needs) live.add(one)
    for (const link of links) if (!live.has(link)) links.delete(link)
  }
}

/** Takes a step on the node and in the model, and compares the answers. */
async function take(node: Node, model: Model, given: Exclude<Step, { do: 'restart' }>): Promise<void> {
  const { registry, store, locks } = node
  if (given.do === 'evict') {
    await store.gc({ toBytes: 0, signal: NEVER })
    return
  }
  if (given.do === 'collect') {
    await tick()
    const collection = new GarbageCollection(store, locks, new Retention([], 0))
    for await (const _ of collection.collect({ isDryRun: false, signal: NEVER }));
    collectInModel(model)
    return
  }
  const { links, tags } = of(model, given.repository)
  if (given.do === 'delete tag') {
    assert.equal(await registry.deleteTag(given.repository, given.tag), tags.delete(given.tag))
    return
  }
  const manifest = MANIFESTS[given.number]
  const blob = blobAt(given.number)
  assert.ok(manifest)
  const digest = digestOf(manifest.bytes)
  switch (given.do) {
    case 'push blob':
      await pushBlob(registry, BLOBS[given.number] ?? Buffer.alloc(0), given.repository)
      links.add(blob)
      return
    case 'mount': {
      const from = given.repository === TEAM ? OTHER : TEAM
      const isThere = of(model, from).links.has(blob)
      assert.equal(await registry.mount(given.repository, blob, from), isThere)
      if (isThere) links.add(blob)
      return
    }
    case 'push manifest': {
      const answer = await registry.putManifest(given.repository, manifestPush(manifest.bytes, given.tags))
      const missing = manifest.needs.filter((one) => !links.has(one))
      if (missing.length > 0) return assert.deepEqual(answer, { refusal: { kind: 'missing', missing } })
      assert.deepEqual(answer, { pushed: { digest, subject: undefined } })
      links.add(digest)
      for (const one of given.tags) tags.set(one, digest)
      return
    }
    case 'delete manifest':
      assert.equal(await registry.deleteManifest(given.repository, digest), links.delete(digest))
      for (const [name, target] of tags) if (target === digest) tags.delete(name)
      return
    case 'delete blob':
      assert.equal(await registry.deleteBlob(given.repository, blob), links.delete(blob))
  }
}

/** The node has what the model says, and all linked content is stored. */
async function compare({ store }: Node, model: Model): Promise<void> {
  const { catalog } = store.hosted
  let bytes = 0
  const counted = new Set<Digest>()
  for (const [one, { links, tags }] of model) {
    const found = (await all(catalog.links(one))).map(({ digest }) => digest)
    assert.deepEqual(found, [...links].sort())
    assert.deepEqual(
      (await all(catalog.tags(one))).map(({ tag: name, digest }) => [name, digest]),
      [...tags].sort(([first], [second]) => (first < second ? -1 : 1)),
    )
    for (const digest of links) {
      const facts = await store.blobs.facts(digest)
      assert.ok(facts, `${digest} is linked and not stored`)
      if (!counted.has(digest)) bytes += facts.size
      counted.add(digest)
    }
  }
  assert.deepEqual(store.hostedUsage(), { blobs: counted.size, bytes })
  assert.deepEqual(await store.catalog.repositories(), [], 'the cache knows nothing of it')
}

test('pushes, mounts, deletes, collections, evictions and restarts in any order leave what a plain model says', {
  timeout: 300_000,
}, async (t) => {
  const root = await folder(t)
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      run += 1
      const path = join(root, String(run))
      const model: Model = new Map(REPOSITORIES.map((one) => [one, { links: new Set(), tags: new Map() }]))
      let node = await open(path)
      try {
        for (const each of steps) {
          if (each.do === 'restart') {
            await close(node)
            node = await open(path)
          } else await take(node, model, each)
          await compare(node, model)
        }
      } finally {
        await close(node)
      }
    }),
    runs(15),
  )
})
