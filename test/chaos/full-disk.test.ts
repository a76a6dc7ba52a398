import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { DiskLimit } from '../../src/lib/disk-limit.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { seededRandom } from '../../testkit/seeded-random.ts'
import { SmallDisk } from '../../testkit/small-disk.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './support/content.ts'
import { pull } from './support/pull.ts'

/** A disk of a few MiB fills up: pulls still succeed, and content is stored again when there is room. */

const MIB = 1024 * 1024
const DISK_MIB = 16
const CLIENTS = 4
const STORED_AGAIN_MS = 60_000

let upstream: FaultyUpstream
let contents: Contents

before(async () => {
  upstream = await startFaultyUpstream()
  contents = new Contents(upstream, seededRandom('full disk'))
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

const LIMITS: readonly (readonly [string, DiskLimit | undefined])[] = [
  ['a limit below the size of the disk', { percent: 80 }],
  ['a limit far above the size of the disk', { bytes: 1024 * MIB }],
  ['no limit', undefined],
]

for (const [what, maxBytes] of LIMITS) {
  it(`with ${what}, several clients can pull three times as much as fits on the disk`, async (t) => {
    const { disk, agent } = await onSmallDisk(t, maxBytes)
    if (disk === undefined || agent === undefined) return
    await pullAll(agent, several(3 * DISK_MIB))
    // Without a limit nothing is evicted, and the disk stays full.
    if (maxBytes !== undefined) await assertStoresAgain(agent)
    assert.equal(await agent.stop(), 0)
    assert.equal(agent.output, '')
  })

  it(`with ${what}, pulls succeed while other files fill the disk, and content is stored when they are gone`, async (t) => {
    const { disk, agent } = await onSmallDisk(t, maxBytes)
    if (disk === undefined || agent === undefined) return
    const old = several(4)
    await pullAll(agent, old)
    disk.fill()
    await pullAll(agent, several(8))
    for (const item of old) assert.ok(checkAnswer(item, await pull(agent.address, item.path)))
    await disk.clear()
    await assertStoresAgain(agent)
    assert.equal(await agent.stop(), 0)
    assert.equal(agent.output, '')
  })

  it(`with ${what}, pulls succeed when the disk fills up in the middle of bodies`, async (t) => {
    const { disk, agent } = await onSmallDisk(t, maxBytes)
    if (disk === undefined || agent === undefined) return
    const large = Array.from({ length: 3 }, () => contents.blob(3 * MIB, 4 * MIB))
    for (const { digest } of large) upstream.fault(digest, { stallAt: MIB, times: 1 })
    const pulls = Promise.all(large.map((item) => pull(agent.address, item.path)))
    await Promise.all(large.map(({ digest }) => upstream.stalled(digest)))
    disk.fill()
    upstream.release()
    for (const [at, got] of (await pulls).entries()) {
      assert.ok(checkAnswer(large[at] ?? assert.fail(), got), `${got.status}, ${got.body.length} bytes`)
    }
    await disk.clear()
    await assertStoresAgain(agent)
    assert.equal(await agent.stop(), 0)
  })
}

it('an agent starts on a full disk, serves its store, and stores again when there is room', async (t) => {
  const { disk, agent } = await onSmallDisk(t, undefined)
  if (disk === undefined || agent === undefined) return
  const old = several(4)
  await pullAll(agent, old)
  assert.equal(await agent.stop(), 0)
  disk.fill()
  const second = new AgentChild()
  t.after(() => second.kill())
  await second.start(options(disk, undefined))
  for (const item of old) {
    const got = await pull(second.address, item.path)
    assert.ok(checkAnswer(item, got) && isHit(got), `${item.path}: ${got.status}`)
  }
  await pullAll(second, several(4))
  await disk.clear()
  await assertStoresAgain(second)
  assert.equal(await second.stop(), 0)
})

async function onSmallDisk(
  t: TestContext,
  maxBytes: DiskLimit | undefined,
): Promise<{ disk?: SmallDisk; agent?: AgentChild }> {
  const disk = await SmallDisk.mount(t, DISK_MIB)
  if (disk === undefined) return {}
  const agent = new AgentChild()
  t.after(() => agent.kill())
  await agent.start(options(disk, maxBytes))
  return { disk, agent }
}

function options(disk: SmallDisk, maxBytes: DiskLimit | undefined) {
  return {
    data: join(disk.path, 'data'),
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
    ...(maxBytes === undefined ? {} : { maxBytes }),
  }
}

/** Images and blobs of many sizes, of about this size in all. */
function several(mebibytes: number): Item[] {
  const items: Item[] = []
  for (let bytes = 0; bytes < mebibytes * MIB; bytes = items.reduce((sum, { size }) => sum + size, 0)) {
    items.push(...contents.image(2, 100, 400_000), contents.blob(0, 100_000), contents.blob(MIB, 3 * MIB))
  }
  return items
}

/** Several clients pull the items at once, manifests by their tags, and check every answer. */
async function pullAll(agent: AgentChild, items: readonly Item[]): Promise<void> {
  const left = [...items]
  const client = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      const got = await pull(agent.address, item.tagPath ?? item.path)
      assert.ok(checkAnswer(item, got), `${item.path}: ${got.status} ${got.body.subarray(0, 300)}`)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
}

/** Asserts that new content is stored. */
async function assertStoresAgain(agent: AgentChild): Promise<void> {
  for (const item of [contents.blob(1000, 2000), contents.blob(MIB, MIB)]) {
    const deadline = performance.now() + STORED_AGAIN_MS
    let got = await pull(agent.address, item.path)
    while (!isHit(got) && performance.now() < deadline) {
      assert.ok(checkAnswer(item, got), `${got.status}`)
      await delay(20)
      got = await pull(agent.address, item.path)
    }
    assert.ok(isHit(got), `${item.path} is not stored although there is room`)
  }
}
