import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, MIB, positionOf, until } from '../support/cluster-fixture.ts'
import { type Node, REPOSITORY } from '../support/cluster-node.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

describe('who has a digest', () => {
  it('is answered with its owner, and with the peers that have it whole or in part', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    const [asker, puller, ...others] = cluster.nodes as [Node, Node, ...Node[]]
    const before = (await asker.network.whoHas(digest)) ?? assert.fail('the node has peers')
    assert.deepEqual([before.asked, before.answered, before.holders], [3, 3, []])
    for (const node of [puller, ...others]) {
      const { owner } = (await node.network.whoHas(digest)) ?? {}
      assert.equal(owner?.name, before.owner.name)
      assert.equal(owner.self, node.name === owner.name)
    }
    upstream.fault(digest, { stallAt: 4 * MIB })
    const pull = puller.pull(digest)
    await until(() => positionOf(puller, digest) > 2 * MIB)
    const during = await asker.network.whoHas(digest)
    const part = during?.holders.find(({ name }) => name === puller.name)
    assert.ok(part !== undefined && part.position > MIB && !part.whole, JSON.stringify(during))
    upstream.release()
    await pull
    const after = await asker.network.whoHas(digest)
    const whole = after?.holders.find(({ name }) => name === puller.name)
    assert.deepEqual([whole?.whole, whole?.position], [true, bytes.length])
  })

  it('is answered in time when a peer is silent', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host, { timeouts: { whoHasMs: 300 } })
    const [asker, silent] = cluster.nodes as [Node, Node]
    const server = createServer((socket) => {
      socket.on('error', () => {}).resume()
      t.after(() => socket.destroy())
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.after(() => server.close())
    cluster.pretend(silent, { port: (server.address() as AddressInfo).port })
    const answered: number[] = []
    // On a slow machine the answer of the third node may be late, too.
    while (!answered.includes(1)) {
      const found = (await asker.network.whoHas(digestOf(randomBytes(8)))) ?? assert.fail('it has peers')
      assert.equal(found.asked, 2)
      answered.push(found.answered)
    }
    assert.ok(
      answered.every((count) => count <= 1),
      answered.join(),
    )
  })

  it('is not answered by a node without peers, which names no owner of a tag either', async (t) => {
    const cluster = await clusterOf(t, 1, upstream.host)
    const [node] = cluster.nodes as [Node]
    assert.equal(await node.network.whoHas(digestOf(randomBytes(8))), undefined)
    assert.equal(node.network.client.tagOwner(REPOSITORY, 'v1'), undefined)
    assert.deepEqual(node.network.report().members, [])
  })
})
