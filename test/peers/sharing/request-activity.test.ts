import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, DEADLINE_MS, MIB } from '../support/cluster-fixture.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

test('members say what they do, and one with another protocol is told without numbers', async (t) => {
  const cluster = await clusterOf(t, 2, upstream.host)
  const [asking, other] = cluster.nodes
  assert.ok(asking !== undefined && other !== undefined)
  const foreign = await cluster.add(upstream.host, { protocol: 1 })
  await other.pull(upstream.addBlob(randomBytes(MIB)))
  const asked = await asking.network.askActivities()
  assert.deepEqual(asked.map(({ name }) => name).sort(), [foreign.name, other.name].sort())
  const activityOf = (name: string) => asked.find((one) => one.name === name)?.activity
  assert.equal(activityOf(other.name)?.store.blobs, 1)
  assert.deepEqual(activityOf(other.name)?.transfers, [])
  assert.equal(activityOf(foreign.name), null)
})

test('a transfer under way is told with the peer that brings it', async (t) => {
  const policy = { progressTimeoutMs: DEADLINE_MS, sizeTimeoutMs: DEADLINE_MS }
  const cluster = await clusterOf(t, 3, upstream.host, { policy })
  const digest = upstream.addBlob(randomBytes(4 * MIB))
  // The fetcher has a part, which the others take from it or from each other, and no more comes before the release.
  upstream.fault(digest, { stallAt: 2 * MIB })
  const pulls = cluster.nodes.map((node) => node.pull(digest))
  const [asking] = cluster.nodes
  assert.ok(asking !== undefined)
  const deadline = performance.now() + DEADLINE_MS
  let fromPeers: readonly (string | null)[] = []
  while (fromPeers.length === 0) {
    assert.ok(performance.now() < deadline, 'no member tells of a transfer from a peer')
    const asked = await asking.network.askActivities()
    const transfers = asked.flatMap(({ activity }) => activity?.transfers ?? [])
    fromPeers = transfers.flatMap(({ from, isPeer }) => (isPeer ? [from] : []))
  }
  upstream.release()
  await Promise.all(pulls)
  const names = cluster.nodes.map(({ name }) => name)
  for (const from of fromPeers) assert.ok(names.includes(from ?? ''), String(from))
})
