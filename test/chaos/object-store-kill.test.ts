import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, it } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { numberFromEnvironment, seededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { emptyFolder } from './support/data-folder.ts'
import { pull } from './support/pull.ts'

/** An agent is killed at the moment in which the bucket gets one of its requests. */

const CYCLES = numberFromEnvironment('LEAT_CHAOS_CYCLES') ?? 8
const MIB = 1024 * 1024
/** Three parts, and one request. */
const LAYER_SIZES = [17 * MIB, 100_000]
/** Reading and uploading one image take somewhat more requests. */
const MOST_REQUESTS = 35
const DAY_MS = 86_400_000
const ROOT = 'docker/registry/v2'

after(() => AgentChild.endAll())

it(`${CYCLES} kills in the middle of uploads leave no wrong or half object, and the sweep leaves nothing else`, {
  timeout: 120_000 * (CYCLES + 2),
}, async (t) => {
  const random = seededRandom('object-store-kills')
  const fake = await FakeS3.start()
  addCleanup(t, () => fake.close())
  const upstream = await startFaultyUpstream()
  addCleanup(t, () => upstream.close())
  const optionsFor = (data: string): AgentOptions => ({
    data,
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false, tagTtlMs: 0 }] },
    objectStore: { bucket: 'images', prefix: '', endpoint: fake.endpoint, environment: TEST_KEYS },
  })
  const data = await emptyFolder(t)
  const needed: string[] = []
  const paths: string[] = []
  for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
    await t.test(`kill ${cycle} of ${CYCLES}`, async () => {
      const layers = LAYER_SIZES.map((size) => randomBytes(size))
      const image = upstream.addImage('app', `v${cycle}`, layers)
      const contents = [image.config, ...image.layers]
      const keys = [...[image.manifest, ...contents].map(dataKey), tagLink(`v${cycle}`)]
      needed.push(...keys)
      const agent = new AgentChild()
      await agent.start(optionsFor(data))
      const killed = killAtRequest(fake, agent, { number: random.between(1, MOST_REQUESTS), keys })
      const ofManifest = `/v2/up.test/app/manifests/v${cycle}`
      const ofBlobs = contents.map((each) => `/v2/up.test/app/blobs/${each}`)
      await pull(agent.address, ofManifest)
      await Promise.all(ofBlobs.map((each) => pull(agent.address, each)))
      paths.push(ofManifest, ...ofBlobs)
      await killed
      assertRightObjects(fake)
    })
  }

  await t.test('the last agent uploads what the killed ones have not', async () => {
    // It pulls what they have not stored, too, and continues what they have begun to upload.
    const last = new AgentChild()
    await last.start(optionsFor(data))
    for (const path of paths) await pull(last.address, path)
    await untilThere(fake, needed)
    assertRightObjects(fake)
    await last.stop()
  })

  // What nobody continues is removed after a day.
  fake.objects.ageUploads(2 * DAY_MS)
  const sweeping = new AgentChild()
  await sweeping.start(optionsFor(await emptyFolder(t)))
  await until(fake, () => fake.objects.uploads().length === 0)
  await sweeping.stop()
  assertRightObjects(fake)
})

/**
 * Kills the agent when the bucket gets its so-many-th request from now on, or has all that it is to get. Resolves when the
 * process has ended.
 */
function killAtRequest(
  fake: FakeS3,
  agent: AgentChild,
  { number, keys }: { readonly number: number; readonly keys: readonly string[] },
): Promise<void> {
  let left = number
  const reached = new Promise<void>((resolve) => {
    fake.faultOf = () => {
      left -= 1
      if (left === 0) resolve()
      return undefined
    }
  })
  return Promise.race([reached, untilThere(fake, keys)]).then(() => agent.kill())
}

function untilThere(fake: FakeS3, keys: readonly string[]): Promise<void> {
  return until(fake, () => keys.every((key) => fake.objects.get(key) !== undefined))
}

function until(fake: FakeS3, isDone: () => boolean): Promise<void> {
  if (isDone()) return Promise.resolve()
  return new Promise((resolve) => {
    fake.objects.onChange = () => {
      if (isDone()) resolve()
    }
  })
}

/** Every object under a final key is whole, and a link leads to bytes that are there. */
function assertRightObjects(fake: FakeS3): void {
  for (const key of fake.objects.keys()) {
    const bytes = fake.objects.get(key)?.bytes ?? Buffer.alloc(0)
    const [, hex] = /\/blobs\/sha256\/..\/(\w+)\/data$/.exec(key) ?? []
    if (hex !== undefined) assert.equal(createHash('sha256').update(bytes).digest('hex'), hex, key)
    else assert.ok(fake.objects.get(dataKey(bytes.toString())) !== undefined, `${key} leads to nothing`)
  }
}

function dataKey(digest: Digest | string): string {
  const hex = digest.slice('sha256:'.length)
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}

function tagLink(tag: string): string {
  return `${ROOT}/repositories/up.test/app/_manifests/tags/${tag}/current/link`
}
