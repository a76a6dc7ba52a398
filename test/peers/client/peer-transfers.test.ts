import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { seededRandom } from '../../../testkit/seeded-random.ts'
import type { Cluster } from '../support/cluster.ts'
import { clusterOf, getCount, MIB, positionOf, until } from '../support/cluster-fixture.ts'
import type { Node } from '../support/cluster-node.ts'

/** `MAX_OWNERS` of peer-transfers.ts. */
const MAX_OWNERS = 4

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

/** Begins a pull on every node. Some of the pulls may fail before a test awaits them. */
function pullAll({ nodes }: Cluster, digest: Digest): Promise<{ bytes: Buffer }>[] {
  const pulls = nodes.map((node) => node.pull(digest))
  for (const pull of pulls) pull.catch(() => {})
  return pulls
}

function withWrongByte(bytes: Uint8Array, at: number): Uint8Array {
  const wrong = Uint8Array.from(bytes)
  wrong[at] = (wrong[at] ?? 0) ^ 1
  return wrong
}

describe('a peer transfer goes on', () => {
  it('when members die in the middle', async (t) => {
    const cluster = await clusterOf(t, 6, upstream.host)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    // Upstream stalls, so that the transfers are still under way when the members die, however late that is.
    upstream.fault(digest, { stallAt: 5 * MIB, times: 1 })
    const dying = cluster.nodes.slice(0, 2)
    const pulls = pullAll(cluster, digest)
    await until(() => positionOf(cluster.nodes[5] as Node, digest) >= 3 * MIB)
    await Promise.all(dying.map((node) => cluster.kill(node)))
    upstream.release()
    for (const [at, pull] of pulls.entries()) {
      if (at < dying.length) await pull.catch(() => {})
      else assert.ok((await pull).bytes.equals(bytes), `node-${at}`)
    }
    const sent = upstream.bytesSent(digest)
    assert.ok(sent <= bytes.length * 1.5, `upstream sent ${sent} of ${bytes.length} bytes`)
  })

  it('with another fetcher, from where it is, when the fetcher dies', async (t) => {
    const cluster = await clusterOf(t, 6, upstream.host)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 5 * MIB, times: 1 })
    const pulls = pullAll(cluster, digest)
    // Whoever takes over has at most a mebibyte to fetch again.
    await until(() => cluster.nodes.every((node) => positionOf(node, digest) > 4 * MIB))
    const isFetcher = ({ resolver }: Node) => resolver.flights.get(digest)?.source?.kind === 'upstream'
    const fetcher = cluster.nodes.find(isFetcher) ?? assert.fail('no member asks upstream')
    await cluster.kill(fetcher)
    upstream.release()
    for (const [at, node] of cluster.nodes.entries()) {
      if (node === fetcher) await pulls[at]?.catch(() => {})
      else assert.ok((await pulls[at])?.bytes.equals(bytes))
    }
    const sent = upstream.bytesSent(digest)
    assert.ok(sent <= bytes.length * 1.25, `upstream sent ${sent} of ${bytes.length} bytes`)
  })

  it('when half of the members die, and with them all owners that are tried but one', async (t) => {
    const sent = await sentWithout(t, (owners) => owners.slice(0, MAX_OWNERS - 1))
    assert.ok(sent <= 1.25, `upstream sent ${sent.toFixed(2)} times the blob`)
  })

  it('with one request of each member to upstream at most, when all owners that are tried die', async (t) => {
    const sent = await sentWithout(t, (owners) => owners)
    assert.ok(sent <= 6, `upstream sent ${sent.toFixed(2)} times the blob`)
    t.diagnostic(`upstream sent ${sent.toFixed(2)} times the blob`)
  })

  /** Kills half of ten members in the middle of a pull, among them the chosen ones. Gives how often upstream has sent the blob. */
  async function sentWithout(t: TestContext, choose: (owners: readonly Node[]) => readonly Node[]) {
    const cluster = await clusterOf(t, 10, upstream.host)
    const bytes = randomBytes(6 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 3 * MIB, times: 1 })
    const pulls = pullAll(cluster, digest)
    await until(() => cluster.nodes.every((node) => positionOf(node, digest) > 2 * MIB))
    const owners = cluster.ranked(digest).slice(0, MAX_OWNERS)
    const dying = new Set(choose(owners))
    const random = seededRandom('peers')
    const others = cluster.nodes.filter((node) => !owners.includes(node))
    while (dying.size < 5) dying.add(random.pick(others))
    await Promise.all([...dying].map((node) => cluster.kill(node)))
    upstream.release()
    for (const [at, node] of cluster.nodes.entries()) {
      if (dying.has(node)) await pulls[at]?.catch(() => {})
      else assert.ok((await pulls[at])?.bytes.equals(bytes), node.name)
    }
    return upstream.bytesSent(digest) / bytes.length
  }

  it('with another parent when a parent has wrong bytes, which no reader gets', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host)
    const bytes = randomBytes(4 * MIB)
    const digest = upstream.addBlob(bytes)
    const [first, corrupted] = cluster.nodes as [Node, Node]
    await first.pull(digest)
    await corrupted.pull(digest)
    const stored = corrupted.store.stored.get(digest) ?? assert.fail('the blob is stored')
    corrupted.store.put(digest, { ...stored, bytes: withWrongByte(stored.bytes, 2 * MIB) })
    const late = await cluster.add(upstream.host)
    const later = await cluster.add(upstream.host)
    for (const node of [late, later]) assert.ok((await node.pull(digest)).bytes.equals(bytes))
    assert.ok(getCount(upstream, digest) <= 2)
  })
})
