import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Events, subscribe } from '../../../src/observe/events.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, DEADLINE_MS, MIB, positionOf, until } from '../support/cluster-fixture.ts'
import type { Node } from '../support/cluster-node.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

/** Collects the events of this name until the test is over. */
function eventsOf<Name extends keyof Events>(t: TestContext, name: Name): Events[Name][] {
  const events: Events[Name][] = []
  t.after(subscribe(name, (event) => events.push(event)))
  return events
}

describe('an event is published', () => {
  it('when a member joins, and when it is gone', async (t) => {
    const joined = eventsOf(t, 'peer.joined')
    const left = eventsOf(t, 'peer.left')
    const cluster = await clusterOf(t, 2, upstream.host)
    const [one, other] = cluster.nodes as [Node, Node]
    assert.deepEqual(joined.map(({ name }) => name).sort(), ['node-0', 'node-1'])
    const { id, host, port } = other.self
    assert.deepEqual(
      joined.find(({ name }) => name === other.name),
      { id, name: 'node-1', address: `${host}:${port}`, zone: undefined, version: 'test', understood: true },
    )
    await cluster.kill(other)
    assert.deepEqual(
      left.filter(({ name }) => name !== one.name),
      [{ id, name: 'node-1', zone: undefined, reason: 'silent' }],
    )
  })

  it('when a member has restarted: it leaves and joins', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host)
    const [, other] = cluster.nodes as [Node, Node]
    const joined = eventsOf(t, 'peer.joined')
    const left = eventsOf(t, 'peer.left')
    cluster.pretend(other, { incarnation: other.self.incarnation + 1 })
    assert.deepEqual(
      left.map(({ name, reason }) => [name, reason]),
      [['node-1', 'restarted']],
    )
    assert.deepEqual(
      joined.map(({ name }) => name),
      ['node-1'],
    )
  })

  it('for each instruction, each download and each upload', async (t) => {
    // By a clock that stands still no member is slow, so nobody gets another parent, however busy the machine is.
    const cluster = await clusterOf(t, 3, upstream.host, {
      timeouts: { now: () => 0 },
      policy: { progressTimeoutMs: DEADLINE_MS, sizeTimeoutMs: DEADLINE_MS },
    })
    const instructed = eventsOf(t, 'peer.instructed')
    const taken = eventsOf(t, 'peer.taken')
    const served = eventsOf(t, 'peer.served')
    const bytes = randomBytes(3 * MIB)
    const digest = upstream.addBlob(bytes)
    await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
    await until(() => served.length >= 2 && taken.length >= 2)
    const toFetch = instructed.filter(({ instruction }) => instruction === 'fetch')
    assert.equal(toFetch.length, 1)
    const { owner } = toFetch[0] ?? assert.fail('no member was told to ask upstream')
    assert.equal(owner?.self, true)
    assert.ok(instructed.every((event) => event.owner?.name === owner.name && event.digest === digest))
    const parents = instructed.filter(({ instruction }) => instruction === 'take').map(({ from }) => from)
    assert.deepEqual(taken.map(({ name }) => name).sort(), parents.sort())
    for (const transfers of [taken, served]) {
      assert.equal(transfers.length, 2)
      for (const event of transfers) {
        assert.equal(event.bytes, bytes.length)
        assert.equal(event.error, undefined)
        assert.equal(cluster.nodes.find(({ name }) => name === event.name)?.id, event.id)
        assert.ok(event.ms >= 0)
      }
    }
  })

  it('when a parent breaks off, with the bytes that it has sent', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 4 * MIB, times: 1 })
    const taken = eventsOf(t, 'peer.taken')
    const instructed = eventsOf(t, 'peer.instructed')
    const pulls = cluster.nodes.map((node) => node.pull(digest))
    for (const pull of pulls) pull.catch(() => {})
    await until(() => cluster.nodes.every((node) => positionOf(node, digest) > MIB))
    const sourceOf = ({ resolver }: Node) => resolver.flights.get(digest)?.source
    const parent = cluster.nodes.find((node) => sourceOf(node)?.kind === 'upstream')
    assert.ok(parent !== undefined)
    const at = cluster.nodes.findIndex((node) => node !== parent)
    const child = cluster.nodes[at] ?? assert.fail('there are two nodes')
    assert.equal(sourceOf(child)?.name, parent.name)
    await cluster.kill(parent)
    upstream.release()
    assert.equal((await pulls[at])?.from, 'peer')
    // Until the child knows that its parent is gone, it may try it once more.
    for (const { name, error } of taken) {
      assert.equal(name, parent.name)
      // The owner may be known to be gone before the download has failed.
      assert.match(error?.message ?? '', /^node-\d(: | is no longer the parent$)/)
    }
    const brought = taken.reduce((sum, event) => sum + event.bytes, 0)
    assert.ok(brought > MIB && brought < bytes.length)
    assert.deepEqual(
      instructed.slice(-1).map(({ owner, instruction }) => [owner, instruction]),
      [[{ name: child.name, self: true }, 'fetch']],
    )
    const facts = await child.store.facts(digest)
    assert.equal(facts?.origin, `peer ${parent.name}, upstream ${upstream.host}`)
  })

  it('when no participant has the content and upstream fails them all', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host)
    const instructed = eventsOf(t, 'peer.instructed')
    const digest = digestOf(randomBytes(8))
    await Promise.allSettled(cluster.nodes.map((node) => node.pull(digest)))
    assert.ok(instructed.some(({ instruction, owner }) => instruction === 'end' && owner !== undefined))
  })
})

describe('the report of a node', () => {
  it('says who the node and its peers are, and how many bytes it has exchanged with each', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host)
    const [one, other] = cluster.nodes as [Node, Node]
    const bytes = randomBytes(MIB)
    const digest = upstream.addBlob(bytes)
    const startedAt = Date.now()
    await one.pull(digest)
    await other.pull(digest)
    const { self, members } = one.network.report()
    const { host, port } = one.self
    assert.deepEqual(self, { name: 'node-0', address: `${host}:${port}`, zone: null })
    const [peer] = members
    assert.equal(peer?.name, 'node-1')
    assert.equal(peer.understood, true)
    assert.ok(Date.parse(peer.since) <= startedAt)
    // Only one of the two has asked upstream; the other one has the blob from it.
    const both = () => [one, other].flatMap(({ network }) => network.report().members)
    await until(() => both().some(({ given }) => given > 0) && both().some(({ taken }) => taken > 0))
    assert.deepEqual(
      both().map(({ taken, given }) => taken + given),
      [bytes.length, bytes.length],
    )
  })
})
