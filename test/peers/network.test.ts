import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import { Failure } from '../../src/ports/failure.ts'
import { digestOf } from '../../testkit/memory/memory-store.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { dice } from '../../testkit/seeded-random.ts'
import { Cluster } from './support/cluster.ts'
import { type Node, REPOSITORY } from './support/cluster-node.ts'

const MIB = 1024 * 1024

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

async function clusterOf(t: { after(fn: () => Promise<void>): void }, count: number): Promise<Cluster> {
  const cluster = await Cluster.start(count, upstream.host)
  t.after(() => cluster.stop())
  return cluster
}

function spoilt(bytes: Uint8Array, at: number): Uint8Array {
  const other = Uint8Array.from(bytes)
  other[at] = (other[at] ?? 0) ^ 1
  return other
}

/** Some of these may fail before anybody looks. */
function pullAll({ nodes }: Cluster, digest: Digest): Promise<{ bytes: Buffer }>[] {
  const pulls = nodes.map((node) => node.pull(digest))
  for (const pull of pulls) pull.catch(() => {})
  return pulls
}

function sent(digest: Digest): number {
  return upstream.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digest)).length
}

describe('a blob that many members want at once', () => {
  for (const [what, size] of [
    ['nothing', 0],
    ['a few bytes', 1000],
    ['a few pieces', 300_000],
    ['many pieces', 5 * MIB + 17],
  ] as const) {
    it(`${what}: leaves upstream once and reaches all`, async (t) => {
      const cluster = await clusterOf(t, 8)
      const bytes = randomBytes(size)
      const digest = upstream.addBlob(bytes)
      const got = await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
      for (const each of got) assert.ok(each.bytes.equals(bytes))
      assert.equal(sent(digest), 1)
    })
  }

  it('is not asked of upstream by those who come later', async (t) => {
    const cluster = await clusterOf(t, 5)
    const bytes = randomBytes(2 * MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) {
      const got = await node.pull(digest)
      assert.ok(got.bytes.equals(bytes))
    }
    const late = await cluster.add(upstream.host)
    const got = await late.pull(digest)
    assert.ok(got.bytes.equals(bytes))
    assert.equal(sent(digest), 1)
  })
})

describe('when something goes wrong', () => {
  it('a member that dies in the middle is done without', async (t) => {
    const cluster = await clusterOf(t, 6)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    // It is still under way when it is to go on without some, however late that is.
    upstream.fault(digest, { stallAt: 5 * MIB, times: 1 })
    const dying = cluster.nodes.slice(0, 2)
    const pulls = pullAll(cluster, digest)
    const flight = () => cluster.nodes[5]?.resolver.flights.get(digest)
    while ((flight()?.position ?? 0) < 3 * MIB) await delay(5)
    await Promise.all(dying.map((node) => cluster.kill(node)))
    upstream.release()
    const got = await Promise.allSettled(pulls)
    for (const [at, each] of got.entries()) {
      if (at < dying.length) continue
      assert.ok(each.status === 'fulfilled', `node-${at}: ${each.status === 'rejected' ? each.reason : ''}`)
      assert.ok(each.value.bytes.equals(bytes))
    }
    const taken = upstream.bytesSent(digest)
    assert.ok(taken <= bytes.length * 1.5, `upstream sent ${taken} of ${bytes.length} bytes`)
  })

  it('the owner that dies in the middle is followed by another, which goes on from what there is', async (t) => {
    const cluster = await clusterOf(t, 6)
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    // It is still under way when it is to go on without some, however late that is.
    upstream.fault(digest, { stallAt: 5 * MIB, times: 1 })
    const pulls = pullAll(cluster, digest)
    const isHead = ({ resolver }: Node) => resolver.flights.get(digest)?.source?.kind === 'upstream'
    while (!cluster.nodes.every(({ resolver }) => (resolver.flights.get(digest)?.position ?? 0) > 2 * MIB))
      await delay(5)
    const owner = cluster.nodes.find(isHead) ?? assert.fail('nobody asks upstream')
    await cluster.kill(owner)
    upstream.release()
    for (const [at, node] of cluster.nodes.entries()) {
      if (node === owner) await pulls[at]?.catch(() => {})
      else assert.ok((await pulls[at])?.bytes.equals(bytes))
    }
    const taken = upstream.bytesSent(digest)
    assert.ok(taken <= bytes.length * 1.25, `upstream sent ${taken} of ${bytes.length} bytes`)
  })

  /** Owners that are tried for one digest. */
  const TRIED = 4

  /** Half of ten members vanish, these among them; all others get everything. Gives how often upstream has sent it. */
  async function sentWithout(t: TestContext, choose: (owners: readonly Node[]) => readonly Node[]) {
    const cluster = await clusterOf(t, 10)
    const bytes = randomBytes(6 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 3 * MIB, times: 1 })
    const pulls = pullAll(cluster, digest)
    const positionOf = ({ resolver }: Node) => resolver.flights.get(digest)?.position ?? 0
    while (!cluster.nodes.every((node) => positionOf(node) > MIB)) await delay(5)
    const owners = cluster.ranked(digest).slice(0, TRIED)
    const gone = new Set(choose(owners))
    const drawn = dice('peers')
    const others = cluster.nodes.filter((node) => !owners.includes(node))
    while (gone.size < 5) gone.add(drawn.pick(others))
    await Promise.all([...gone].map((node) => cluster.kill(node)))
    upstream.release()
    for (const [at, node] of cluster.nodes.entries()) {
      if (gone.has(node)) await pulls[at]?.catch(() => {})
      else assert.ok((await pulls[at])?.bytes.equals(bytes), node.name)
    }
    return upstream.bytesSent(digest) / bytes.length
  }

  it('half of the members that vanish, the first owners but one among them, are done without', async (t) => {
    const sent = await sentWithout(t, (owners) => owners.slice(0, TRIED - 1))
    assert.ok(sent <= 1.25, `upstream sent ${sent.toFixed(2)} times the blob`)
  })

  it('when all owners that are tried vanish, nobody who is left asks upstream twice', async (t) => {
    const sent = await sentWithout(t, (owners) => owners)
    assert.ok(sent <= 6, `upstream sent ${sent.toFixed(2)} times the blob`)
    t.diagnostic(`upstream sent ${sent.toFixed(2)} times the blob`)
  })

  it('what upstream does not have is absent for all, and asked for a few times', async (t) => {
    const cluster = await clusterOf(t, 4)
    const digest = digestOf(randomBytes(8))
    const got = await Promise.allSettled(cluster.nodes.map((node) => node.pull(digest)))
    for (const each of got) {
      assert.ok(each.status === 'rejected' && each.reason instanceof Failure)
      assert.equal(each.reason.code, 'absent')
    }
    assert.ok(sent(digest) > 0 && sent(digest) <= 3 * cluster.nodes.length, `${sent(digest)} times`)
  })

  it('who alone does not reach upstream gets everything, also what it owns, and it is asked for once', async (t) => {
    const cluster = await clusterOf(t, 5)
    const others = [...cluster.nodes]
    const outcast = await cluster.add('127.0.0.1:9')
    const drawn = dice('outcast')
    for (let owned = 0; owned < 5; ) {
      const bytes = randomBytes(3000)
      const digest = upstream.addBlob(bytes)
      if (cluster.ownerOf(digest) === outcast) owned += 1
      const pulls = others.map(async (node) => {
        await delay(drawn.between(0, 60))
        return node.pull(digest)
      })
      for (const got of await Promise.all([outcast.pull(digest), ...pulls]))
        assert.ok(got.bytes.equals(bytes))
      assert.equal(sent(digest), 1)
    }
  })

  it('when upstream fails only the owner, another one asks it', async (t) => {
    const cluster = await clusterOf(t, 4)
    const bytes = randomBytes(3 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { status: 503, times: 1 })
    const got = await Promise.all(cluster.nodes.map((node) => node.pull(digest)))
    for (const each of got) assert.ok(each.bytes.equals(bytes))
    assert.ok(upstream.bytesSent(digest) <= bytes.length * 1.1)
  })

  it('a member that gives other bytes is found out, and nobody is given them', async (t) => {
    const cluster = await clusterOf(t, 3)
    const bytes = randomBytes(4 * MIB)
    const digest = upstream.addBlob(bytes)
    const [first, liar] = cluster.nodes
    await first?.pull(digest)
    await liar?.pull(digest)
    const stored = liar?.store.stored.get(digest) ?? assert.fail('it is stored')
    liar?.store.put(digest, { ...stored, bytes: spoilt(stored.bytes, 2 * MIB) })
    const late = await cluster.add(upstream.host)
    const other = await cluster.add(upstream.host)
    for (const node of [late, other]) assert.ok((await node.pull(digest)).bytes.equals(bytes))
    assert.ok(sent(digest) <= 2)
  })
})

describe('a tag', () => {
  it('costs upstream one question for all', async (t) => {
    const cluster = await clusterOf(t, 6)
    const { manifest } = upstream.addImage('app', 'v1', [randomBytes(1000)])
    const signal = AbortSignal.timeout(60_000)
    const asked = () => upstream.requests.filter(({ path }) => path.endsWith('/manifests/v1')).length
    const got = await Promise.all(
      cluster.nodes.map((node) => node.resolver.manifestByTag(REPOSITORY, 'v1', { signal })),
    )
    for (const each of got) assert.equal(each.digest, manifest)
    assert.equal(asked(), 1)
    assert.equal(sent(manifest), 1)
  })

  it('is known to who is alone in not reaching upstream, also where he would have to tell all others', async (t) => {
    const cluster = await clusterOf(t, 3)
    const outcast = await cluster.add('127.0.0.1:9')
    const tags = Array.from({ length: 24 }, (_, at) => `v${at}`)
    const { manifest } = upstream.addImage('app', tags[0] ?? '', [randomBytes(1000)])
    for (const tag of tags) upstream.addTag('app', tag, manifest)
    const signal = AbortSignal.timeout(60_000)
    for (const tag of tags) {
      const got = await outcast.resolver.manifestByTag(REPOSITORY, tag, { signal })
      assert.equal(got.digest, manifest, tag)
    }
  })

  it('is known to him also while those whom he could ask wait for his answer', async (t) => {
    const cluster = await clusterOf(t, 3)
    const outcast = await cluster.add('127.0.0.1:9')
    const { manifest } = upstream.addImage('app', 'v0', [randomBytes(1000)])
    let owned = 0
    for (let n = 0; owned < 4; n += 1) {
      const tag = `at-once-${n}`
      if (outcast.network.client.tagOwner(REPOSITORY, tag)?.self !== true) continue
      owned += 1
      upstream.addTag('app', tag, manifest)
      const signal = AbortSignal.timeout(60_000)
      const asking = [...cluster.nodes].map((node) =>
        node.resolver.manifestByTag(REPOSITORY, tag, { signal }),
      )
      for (const got of await Promise.all(asking)) assert.equal(got.digest, manifest, tag)
      const heads = upstream.requests.filter(({ method, path }) => method === 'HEAD' && path.endsWith(tag))
      assert.equal(heads.length, 1, `how often upstream was asked for ${tag}`)
    }
  })
})
