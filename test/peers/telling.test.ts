import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Events, subscribe } from '../../src/observe/events.ts'
import { digestOf } from '../../testkit/memory/memory-store.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Cluster } from './support/cluster.ts'
import { type Node, REPOSITORY } from './support/cluster-node.ts'

const MIB = 1024 * 1024

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

async function clusterOf(t: TestContext, count: number): Promise<Cluster> {
  const cluster = await Cluster.start(count, upstream.host)
  t.after(() => cluster.stop())
  return cluster
}

/** Everything of this kind that is published during a test. */
function heard<Name extends keyof Events>(t: TestContext, name: Name): Events[Name][] {
  const facts: Events[Name][] = []
  t.after(subscribe(name, (fact) => facts.push(fact)))
  return facts
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

describe('what peers do is made known', () => {
  it('who comes, and who goes and why', async (t) => {
    const joined = heard(t, 'peer.joined')
    const left = heard(t, 'peer.left')
    const cluster = await clusterOf(t, 2)
    const [one, other] = cluster.nodes as [Node, Node]
    assert.deepEqual(joined.map(({ name }) => name).sort(), ['node-0', 'node-1'])
    const { id, host, port } = other.self
    const fact = joined.find(({ name }) => name === other.name)
    assert.deepEqual(fact, {
      id,
      name: 'node-1',
      address: `${host}:${port}`,
      zone: undefined,
      version: 'test',
    })
    await cluster.kill(other)
    assert.deepEqual(
      left.filter(({ name }) => name !== one.name),
      [{ id, name: 'node-1', zone: undefined, reason: 'silent' }],
    )
  })

  it('a member that begins a new life is another one', async (t) => {
    const cluster = await clusterOf(t, 2)
    const [, other] = cluster.nodes as [Node, Node]
    const joined = heard(t, 'peer.joined')
    const left = heard(t, 'peer.left')
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

  it('who is told what, what is taken, and what is given', async (t) => {
    const cluster = await clusterOf(t, 3)
    const guided = heard(t, 'peer.instructed')
    const taken = heard(t, 'peer.taken')
    const served = heard(t, 'peer.served')
    const bytes = randomBytes(3 * MIB)
    const digest = upstream.addBlob(bytes)
    await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
    await until(() => served.length >= 2 && taken.length >= 2)
    const fetching = guided.filter(({ instruction }) => instruction === 'fetch')
    assert.equal(fetching.length, 1)
    const { owner } = fetching[0] ?? assert.fail('nobody was told to ask upstream')
    assert.equal(owner?.self, true)
    assert.ok(guided.every((fact) => fact.owner?.name === owner.name && fact.digest === digest))
    const told = guided.filter(({ instruction }) => instruction === 'take').map(({ from }) => from)
    assert.deepEqual(taken.map(({ name }) => name).sort(), told.sort())
    for (const all of [taken, served]) {
      assert.equal(all.length, 2)
      for (const fact of all) {
        assert.equal(fact.bytes, bytes.length)
        assert.equal(fact.error, undefined)
        assert.equal(cluster.nodes.find(({ name }) => name === fact.name)?.self.id, fact.id)
        assert.ok(fact.ms >= 0)
      }
    }
  })

  it('that a parent broke off, with what it had brought', async (t) => {
    const cluster = await clusterOf(t, 2)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 4 * MIB, times: 1 })
    const taken = heard(t, 'peer.taken')
    const guided = heard(t, 'peer.instructed')
    const pulls = cluster.nodes.map((node) => node.pull(digest))
    for (const pull of pulls) pull.catch(() => {})
    await until(() => cluster.nodes.every((node) => (node.resolver.flights.get(digest)?.position ?? 0) > MIB))
    const parent = cluster.nodes.find(
      ({ resolver }) => resolver.flights.get(digest)?.source?.kind === 'upstream',
    )
    assert.ok(parent !== undefined)
    const child = cluster.nodes.findIndex((node) => node !== parent)
    assert.equal(cluster.nodes[child]?.resolver.flights.get(digest)?.source?.name, parent.name)
    await cluster.kill(parent)
    upstream.release()
    assert.equal((await pulls[child])?.from, 'peer')
    assert.deepEqual(
      taken.map(({ name }) => name),
      [parent.name],
    )
    const [broken] = taken
    assert.ok(broken !== undefined && broken.bytes > MIB && broken.bytes < bytes.length)
    assert.match(broken.error?.message ?? '', /^node-\d: /)
    assert.deepEqual(
      guided.slice(-1).map(({ owner, instruction }) => [owner, instruction]),
      [[{ name: cluster.nodes[child]?.name, self: true }, 'fetch']],
    )
    const facts = await cluster.nodes[child]?.store.facts(digest)
    assert.equal(facts?.origin, `peer ${parent.name}, upstream ${upstream.host}`)
  })

  it('that nobody has it', async (t) => {
    const cluster = await clusterOf(t, 2)
    const guided = heard(t, 'peer.instructed')
    const digest = digestOf(randomBytes(8))
    await Promise.allSettled(cluster.nodes.map((node) => node.pull(digest)))
    assert.ok(guided.some(({ instruction, owner }) => instruction === 'end' && owner !== undefined))
  })

  it('where an answer came from, to the client, too', async (t) => {
    const cluster = await clusterOf(t, 4)
    const digest = upstream.addBlob(randomBytes(MIB))
    const from: string[] = []
    for (const node of cluster.nodes) from.push((await node.pull(digest)).from)
    assert.ok(from.filter((each) => each === 'peer').length >= 2, from.join())
    assert.ok(from.every((each) => each === 'peer' || each === 'upstream' || each === 'hit'))
  })
})

describe('a node tells of its peers', () => {
  it('who it is, who they are, and what was exchanged with each', async (t) => {
    const cluster = await clusterOf(t, 2)
    const [one, other] = cluster.nodes as [Node, Node]
    const bytes = randomBytes(MIB)
    const digest = upstream.addBlob(bytes)
    const began = Date.now()
    await one.pull(digest)
    await other.pull(digest)
    const here = one.network.report() ?? assert.fail('it has joined')
    const { host, port } = one.self
    assert.deepEqual(here.self, { name: 'node-0', address: `${host}:${port}`, zone: null })
    const [mine] = here.members
    assert.equal(mine?.name, 'node-1')
    assert.equal(mine.understood, true)
    assert.ok(Date.parse(mine.since) <= began)
    // Whoever of the two has asked upstream, the other has it from there.
    const told = () => [one, other].flatMap(({ network }) => network.report()?.members ?? [])
    await until(() => told().some(({ given }) => given > 0) && told().some(({ taken }) => taken > 0))
    assert.deepEqual(
      told().map(({ taken, given }) => taken + given),
      [bytes.length, bytes.length],
    )
  })

  it('who owns a digest, and who has it whole or in part', async (t) => {
    const cluster = await clusterOf(t, 4)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    const [asking, ...others] = cluster.nodes as [Node, ...Node[]]
    const nobody = (await asking.network.whoHas(digest)) ?? assert.fail('there are peers')
    assert.deepEqual(
      { ...nobody, owner: undefined },
      { owner: undefined, asked: 3, answered: 3, holders: [] },
    )
    for (const node of others) {
      const { owner } = (await node.network.whoHas(digest)) ?? {}
      assert.equal(owner?.name, nobody.owner.name)
      assert.equal(owner.self, node.name === owner.name)
    }
    upstream.fault(digest, { stallAt: 4 * MIB })
    const pulling = others[0]?.pull(digest)
    const position = () => others[0]?.resolver.flights.get(digest)?.position ?? 0
    await until(() => position() > 2 * MIB)
    const during = await asking.network.whoHas(digest)
    const part = during?.holders.find(({ name }) => name === others[0]?.name)
    assert.ok(part !== undefined && part.position > MIB && !part.whole, JSON.stringify(during))
    upstream.release()
    await pulling
    const after = await asking.network.whoHas(digest)
    const whole = after?.holders.find(({ name }) => name === others[0]?.name)
    assert.deepEqual([whole?.whole, whole?.position], [true, bytes.length])
  })

  it('in time, when some do not answer', async (t) => {
    const cluster = await Cluster.start(3, upstream.host, { timeouts: { whoHasMs: 300 } })
    t.after(() => cluster.stop())
    const [asking, mute] = cluster.nodes as [Node, Node]
    const silent = createServer((socket) => {
      socket.on('error', () => {}).resume()
      t.after(() => socket.destroy())
    })
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    t.after(() => silent.close())
    cluster.pretend(mute, { port: (silent.address() as AddressInfo).port })
    const answered: (number | undefined)[] = []
    // The other one may be too late with its answer as well.
    while (!answered.includes(1)) {
      const found = await asking.network.whoHas(digestOf(randomBytes(8)))
      assert.equal(found?.asked, 2)
      answered.push(found.answered)
    }
    assert.ok(answered.every((count) => count === 0 || count === 1))
  })

  it('nothing of an owner, when there is nobody else', async (t) => {
    const cluster = await clusterOf(t, 1)
    const [alone] = cluster.nodes as [Node]
    assert.equal(await alone.network.whoHas(digestOf(randomBytes(8))), undefined)
    assert.equal(alone.network.client.tagOwner(REPOSITORY, 'v1'), undefined)
    assert.deepEqual(alone.network.report()?.members, [])
  })
})
