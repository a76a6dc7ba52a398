import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { seededRandom } from '../../testkit/seeded-random.ts'
import {
  clusterOf,
  DEADLINE_MS,
  getCount,
  MIB,
  positionOf,
  UNREACHABLE,
  until,
} from './support/cluster-fixture.ts'
import type { Node } from './support/cluster-node.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

describe('a blob that many members want at once', () => {
  for (const [what, size] of [
    ['of no bytes', 0],
    ['of a few bytes', 1000],
    ['of several checkpoints', 300_000],
    ['of many checkpoints', 5 * MIB + 17],
  ] as const) {
    it(`${what} leaves upstream once and reaches all`, async (t) => {
      const cluster = await clusterOf(t, 8, upstream.host)
      const bytes = randomBytes(size)
      const digest = upstream.addBlob(bytes)
      const got = await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
      for (const each of got) assert.ok(each.bytes.equals(bytes))
      assert.equal(getCount(upstream, digest), 1)
    })
  }

  it('that upstream does not have is absent for all, and requested a few times', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const digest = digestOf(randomBytes(8))
    const got = await Promise.allSettled(cluster.nodes.map((node) => node.pull(digest)))
    for (const each of got) {
      assert.ok(each.status === 'rejected' && each.reason instanceof Failure)
      assert.equal(each.reason.code, 'absent')
    }
    const count = getCount(upstream, digest)
    assert.ok(count > 0 && count <= 3 * cluster.nodes.length, `${count} requests`)
  })

  it('is requested by another member when upstream fails the owner', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const bytes = randomBytes(3 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { status: 503, times: 1 })
    const got = await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
    for (const each of got) assert.ok(each.bytes.equals(bytes))
    assert.ok(upstream.bytesSent(digest) <= bytes.length * 1.1)
  })

  it('reaches the only member that cannot reach upstream, also as the owner, by one request', async (t) => {
    const cluster = await clusterOf(t, 5, upstream.host)
    const others = [...cluster.nodes]
    const disconnected = await cluster.add(UNREACHABLE)
    const random = seededRandom('disconnected')
    for (let owned = 0; owned < 5; ) {
      const bytes = randomBytes(3000)
      const digest = upstream.addBlob(bytes)
      if (cluster.ownerOf(digest) === disconnected) owned += 1
      const pulls = others.map(async (node) => {
        await delay(random.between(0, 60))
        return node.pull(digest)
      })
      for (const got of await Promise.all([disconnected.pull(digest), ...pulls])) {
        assert.ok(got.bytes.equals(bytes))
      }
      assert.equal(getCount(upstream, digest), 1)
    }
  })
})

describe('a blob that members have', () => {
  it('is not requested from upstream by those that want it later', async (t) => {
    const cluster = await clusterOf(t, 5, upstream.host)
    const bytes = randomBytes(2 * MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) assert.ok((await node.pull(digest)).bytes.equals(bytes))
    const late = await cluster.add(upstream.host)
    assert.ok((await late.pull(digest)).bytes.equals(bytes))
    assert.equal(getCount(upstream, digest), 1)
  })

  it('is said to come from a peer', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const digest = upstream.addBlob(randomBytes(MIB))
    const from: string[] = []
    for (const node of cluster.nodes) from.push((await node.pull(digest)).from)
    assert.ok(from.filter((each) => each === 'peer').length >= 2, from.join())
    assert.ok(
      from.every((each) => ['peer', 'upstream', 'hit'].includes(each)),
      from.join(),
    )
  })
})

describe('a member that leaves', () => {
  it('sends to the end what it has begun to send', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host, { uploadBytesPerSecond: 8 * MIB })
    const [parent, child] = cluster.nodes as [Node, Node]
    // The owner must not leave: another owner would soon have upstream asked.
    const bytes = cluster.bytesOwnedBy(child, 4 * MIB)
    const digest = upstream.addBlob(bytes)
    await cluster.without(child, () => parent.pull(digest))
    const pull = child.pull(digest)
    await until(() => positionOf(child, digest) > MIB / 2)
    const left = parent.network.leave({ drainMs: DEADLINE_MS })
    assert.ok((await pull).bytes.equals(bytes))
    await left
    assert.equal(getCount(upstream, digest), 1)
  })
})
