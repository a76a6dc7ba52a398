import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownActivity } from '../../../../src/observe/reports/swarm/own-activity.ts'
import { SwarmActivity } from '../../../../src/observe/reports/swarm/swarm-activity.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { ActivityReport, MemberActivity } from '../../../../src/schemas/peer-report.ts'
import { ALPINE, MemoryNode } from '../../memory-node.ts'

const NOTHING = { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 }
const SELF = { name: 'node-1', address: '10.0.0.1:5052', zone: 'a' }

test('a node says of each transfer which peer or host brings it', async () => {
  const node = new MemoryNode()
  const [first, second] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'))]
  const flight = { kind: 'blob', repository: ALPINE, startedAt: 0, size: 10, waiters: 1 } as const
  node.activeFlights.push(
    { ...flight, digest: first, position: 3, source: 'peers' },
    { ...flight, digest: second, position: 0, size: undefined, source: 'registry.corp' },
  )
  node.swarm = { self: SELF, members: [], taking: [{ digest: first, from: 'node-2' }] }
  node.put('content')
  const activity = await ownActivity(node, { served: { ...NOTHING, local: 5 }, fetched: NOTHING })
  assert.deepEqual(activity, {
    served: { ...NOTHING, local: 5 },
    fetched: NOTHING,
    store: { blobs: 1, bytes: 7 },
    warm: { stored: 2, missing: 1 },
    transfers: [
      { digest: first, kind: 'blob', from: 'node-2', isPeer: true, position: 3, size: 10 },
      { digest: second, kind: 'blob', from: 'registry.corp', isPeer: false, position: 0, size: null },
    ],
  } satisfies ActivityReport)
})

test('a node with more transfers than a message takes leaves the last ones out', async () => {
  const node = new MemoryNode()
  const flights = Array.from({ length: 40 }, (_, i) => ({
    digest: digestOf(Buffer.from(String(i))),
    kind: 'blob' as const,
    repository: ALPINE,
    startedAt: 0,
    position: i,
    size: 100,
    waiters: 1,
    source: 'registry.corp',
  }))
  node.activeFlights.push(...flights)
  const { transfers } = await ownActivity(node, { served: NOTHING, fetched: NOTHING })
  assert.deepEqual(
    transfers.map(({ position }) => position),
    Array.from({ length: 32 }, (_, i) => i),
  )
})

test('the report has this node first, and those who ask within two seconds cost the swarm one question', async () => {
  let now = 0
  let asked = 0
  const other: MemberActivity = {
    name: 'node-2',
    address: '10.0.0.2:5052',
    zone: 'a',
    self: false,
    activity: null,
  }
  const activity = await ownActivity(new MemoryNode(), { served: NOTHING, fetched: NOTHING })
  const swarm = new SwarmActivity(
    {
      name: 'node-1',
      peers: () => ({ self: SELF, members: [], taking: [] }),
      askPeers: async () => {
        asked += 1
        return [other]
      },
    },
    async () => activity,
    () => now,
  )
  const [report, same] = await Promise.all([swarm.report(), swarm.report()])
  assert.equal(report, same)
  assert.deepEqual(report.members, [{ ...SELF, self: true, activity }, other])
  now = 1999
  assert.equal(await swarm.report(), report)
  assert.equal(asked, 1)
  now = 2000
  await swarm.report()
  assert.equal(asked, 2)
})

test('a member that leaves while it is asked counts as one that was asked', async () => {
  const other: MemberActivity = {
    name: 'node-2',
    address: '10.0.0.2:5052',
    zone: 'a',
    self: false,
    activity: null,
  }
  const known: unknown[] = [other]
  const activity = await ownActivity(new MemoryNode(), { served: NOTHING, fetched: NOTHING })
  const swarm = new SwarmActivity(
    {
      name: 'node-1',
      peers: () => ({ self: SELF, members: [...known] }),
      askPeers: async () => {
        known.pop()
        return [other]
      },
    },
    async () => activity,
  )
  const { count, members } = await swarm.report()
  assert.equal(count + 1, members.length)
})

test('a failed question is asked again', async () => {
  let now = 0
  let fails = true
  const activity = await ownActivity(new MemoryNode(), { served: NOTHING, fetched: NOTHING })
  const swarm = new SwarmActivity(
    {
      name: 'node-1',
      peers: () => undefined,
      askPeers: async () => {
        if (fails) throw new Error('no answer')
        return []
      },
    },
    async () => activity,
    () => now,
  )
  await assert.rejects(swarm.report(), /no answer/)
  fails = false
  now = 2000
  assert.deepEqual(await swarm.report(), {
    count: 0,
    members: [{ name: 'node-1', address: '', zone: null, self: true, activity }],
  })
})
