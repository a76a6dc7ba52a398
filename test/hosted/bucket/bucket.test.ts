import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { startBootstrapNode } from '../../../src/peers/dht/bootstrap.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { folder } from '../../store/folder.ts'
import {
  type BucketAgent,
  type BucketLab,
  bucketLab,
  hostedIn,
  type PushedImage,
  reads,
} from './bucket-lab.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }

/** Agents that share a bucket and a secret, once each knows all others. */
async function swarm(t: TestContext, lab: BucketLab, count: number): Promise<BucketAgent[]> {
  const dht = await startBootstrapNode({ listen: LOCAL, bootstrap: [], advertise: undefined })
  // Cleanups run in reverse order: the agents say to the DHT that they leave.
  addCleanup(t, () => dht.stop())
  const secretFile = join(await folder(t), 'secret')
  await writeFile(secretFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
  const peers = { secretFile, listen: LOCAL, advertise: LOCAL.host, dht: LOCAL, bootstrap: [dht.address] }
  let missing = count * (count - 1)
  const met = new Promise<void>((resolve) => {
    const onJoined = (): void => {
      missing -= 1
      if (missing === 0) resolve()
    }
    t.after(subscribe('peer.joined', onJoined))
  })
  const agents = await Promise.all(Array.from({ length: count }, () => lab.start({ peers })))
  await met
  return agents
}

/** Pulls until it succeeds: a member that is slow to say what it has is asked again. */
async function pullFromMembers(agent: BucketAgent, image: PushedImage): Promise<void> {
  const deadline = AbortSignal.timeout(120_000)
  for (;;) {
    try {
      return await agent.pull(image)
    } catch (error) {
      if (deadline.aborted || !(error instanceof assert.AssertionError)) throw error
    }
  }
}

/** From now on the bucket says what it has, and gives no bytes of it. */
function withholdBytes(fake: FakeS3): void {
  fake.faultOf = ({ method, key }) =>
    method === 'GET' && key.endsWith('/data') ? { kind: 'error', status: 404, code: 'NoSuchKey' } : undefined
}

test('what one member has taken is pulled from all, and its bytes come from members', async (t) => {
  const lab = await bucketLab(t)
  const [taker, ...others] = await swarm(t, lab, 3)
  assert.ok(taker !== undefined)
  const image = await taker.push('one', { tag: 'v1', layer: randomBytes(300_000) })
  withholdBytes(lab.fake)
  for (const other of others) {
    await pullFromMembers(other, image)
    assert.equal(await other.tag('v1'), image.manifest)
  }
})

test('what no member has is read from the bucket once, and then taken from the member that has read it', async (t) => {
  const lab = await bucketLab(t)
  const image = await (await lab.start()).push('one', { tag: 'v1', layer: randomBytes(300_000) })
  lab.fake.requests.length = 0
  const [first, ...others] = await swarm(t, lab, 3)
  await first?.pull(image)
  const all = [image.manifest, image.config, ...image.layers]
  assert.deepEqual(
    all.map((digest) => reads(lab.fake, digest)),
    all.map(() => 1),
  )
  withholdBytes(lab.fake)
  for (const other of others) await pullFromMembers(other, image)
})

test('a tag that one agent has moved or deleted is moved or gone for another one at once', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  for (let round = 1; round <= 5; round += 1) {
    const image = await one.push(`${round}`, { tag: 'latest' })
    assert.equal(await other.tag('latest'), image.manifest)
    const back = await other.push(`back ${round}`, { tag: 'latest' })
    assert.equal(await one.tag('latest'), back.manifest)
  }
  assert.equal(await other.status('team/app/manifests/latest', 'DELETE'), 202)
  assert.equal(await one.tag('latest'), undefined)
})

test('pushes of one tag by many clients of two agents end in one of them, which is whole', async (t) => {
  const lab = await bucketLab(t)
  const agents = [await lab.start(), await lab.start()]
  const pushed = await Promise.all(
    Array.from({ length: 8 }, async (_, client) => {
      const agent = agents[client % 2] ?? assert.fail()
      return await agent.push(`client ${client}`, { tag: 'latest' })
    }),
  )
  const found = await Promise.all(agents.map((agent) => agent.tag('latest')))
  assert.equal(found[0], found[1])
  const image = pushed.find(({ manifest }) => manifest === found[0])
  assert.ok(image !== undefined)
  await (await lab.start()).pull(image)
})

test('settings that host what the bucket cannot have, or keep tags by rules of one node, stop the start', async (t) => {
  const lab = await bucketLab(t)
  const { objectStore } = hostedIn(lab.fake)
  await assert.rejects(
    lab.start({ objectStore: { ...objectStore, registry: 'reg.corp' } }),
    /has only repositories of reg.corp \(objectStore.registry\), so team\/\*\* cannot be hosted in it/,
  )
  const retention = [{ names: ['team/**'], keepLast: 1 }]
  await assert.rejects(lab.start({ hosted: { names: ['team/**'], retention } }), /objectStore.expire/)
})

test('an agent names what was pushed to its disk before, which it does not serve any more', async (t) => {
  const lab = await bucketLab(t)
  const data = await folder(t)
  const { objectStore } = hostedIn(lab.fake)
  const before = await lab.start({ data, objectStore: { ...objectStore, hosted: false } })
  await before.push('one', { tag: 'v1' })
  assert.deepEqual(before.running.agent.warnings, [])
  await before.running.stop({ drainMs: 0 })
  const after = await lab.start({ data })
  assert.equal(await after.tag('v1'), undefined)
  const [warning = ''] = after.running.agent.warnings
  assert.match(warning, /\(1\) are not in the object store.*localhost\/team\/app/)
})
