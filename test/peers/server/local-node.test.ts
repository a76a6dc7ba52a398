import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { Cluster } from '../support/cluster.ts'
import { clusterOf, MIB, positionOf, until } from '../support/cluster-fixture.ts'
import { type Node, REPOSITORY } from '../support/cluster-node.ts'

/** The members have a digest in `REPOSITORY`; the tests ask for it in another repository. */
const OTHER: Repository = { registry: REPOSITORY.registry, name: 'other' }

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

/** Gives how many bytes the nodes have taken from each other. */
function exchangedBytes({ nodes }: Cluster): number {
  const members = nodes.flatMap(({ network }) => network.report().members)
  return members.reduce((sum, { taken }) => sum + taken, 0)
}

/** Gives the paths of the requests for a digest that upstream has received. */
function requestPaths(method: string, digest: Digest): string[] {
  return upstream.requests.flatMap((request) =>
    request.method === method && request.path.endsWith(digest) ? request.path : [],
  )
}

function getsInRepository(digest: Digest): number {
  return requestPaths('GET', digest).filter((path) => path.includes(`/${REPOSITORY.name}/`)).length
}

async function assertAbsent(pull: Promise<unknown>): Promise<void> {
  await assert.rejects(pull, (error) => error instanceof Failure && error.code === 'absent')
}

describe('a digest that members have in one repository', () => {
  it('is given to no member in a repository in which upstream does not have it', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const digest = upstream.addBlob(randomBytes(MIB))
    upstream.keepIn(REPOSITORY.name, digest)
    for (const node of cluster.nodes) await node.pull(digest)
    const late = await cluster.add(upstream.host)
    const before = exchangedBytes(cluster)
    for (const node of cluster.nodes) await assertAbsent(node.pull(digest, OTHER))
    assert.equal(exchangedBytes(cluster), before)
    assert.equal(late.store.stored.has(digest), false)
    assert.equal(getsInRepository(digest), 1)
    await late.pull(digest)
    assert.equal(getsInRepository(digest), 1)
  })

  it('is not given while it is arriving, either', async (t) => {
    const cluster = await clusterOf(t, 4, upstream.host)
    const digest = upstream.addBlob(randomBytes(8 * MIB))
    upstream.keepIn(REPOSITORY.name, digest)
    upstream.fault(digest, { stallAt: 4 * MIB, method: 'GET', times: 1 })
    const [one, two, ...others] = cluster.ranked(digest) as [Node, Node, ...Node[]]
    const pulls = [one, two].map((node) => node.pull(digest))
    await until(() => [one, two].every((node) => positionOf(node, digest) > MIB))
    await Promise.all([one, ...others].map((node) => assertAbsent(node.pull(digest, OTHER))))
    for (const node of others) assert.equal(node.store.partials.has(digest), false)
    upstream.release()
    await Promise.all(pulls)
    assert.equal(getsInRepository(digest), 1)
  })

  it('is shown and given only to a peer that asks for it in that repository', async (t) => {
    const cluster = await clusterOf(t, 2, upstream.host)
    const rogue = await cluster.addRogue()
    const [node] = cluster.nodes as [Node]
    const digest = upstream.addBlob(randomBytes(1000))
    upstream.keepIn(REPOSITORY.name, digest)
    await node.pull(digest)
    const answerTo = async (message: object): Promise<Record<string, unknown>> => {
      const { answer, exchange } = await rogue.ask(node.self, message)
      exchange.destroy()
      return answer as Record<string, unknown>
    }
    const take = async (repository: Repository): Promise<number> => {
      const intake = new MemoryIntake()
      await rogue.take(node.self, { digest, kind: 'blob', repository }, intake)
      return intake.position
    }
    const has = (repository: Repository, of = digest) =>
      answerTo({ ask: 'has', digest: of, as: { kind: 'blob', repository } })
    assert.equal(await take(REPOSITORY), 1000)
    await assertAbsent(take(OTHER))
    assert.deepEqual(await has(REPOSITORY), { is: 'held', position: 1000, whole: true })
    assert.equal((await has(OTHER))['code'], 'absent')
    const unknown = upstream.addBlob(randomBytes(8))
    assert.equal((await has(OTHER, unknown))['whole'], false)
    assert.deepEqual(requestPaths('HEAD', unknown), [])
  })

  it('is given in another repository once upstream has confirmed to one member that it is there', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host)
    const bytes = randomBytes(2 * MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) await node.pull(digest)
    const late = await cluster.add(upstream.host)
    assert.ok((await late.pull(digest, OTHER)).bytes.equals(bytes))
    assert.equal(upstream.bytesSent(digest), bytes.length)
    // The owner may ask upstream, and so may the two former owners.
    const heads = requestPaths('HEAD', digest)
    assert.ok(heads.length <= 3, heads.join())
  })

  it('is given in another repository without upstream, if the members know it there', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host)
    const bytes = randomBytes(MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) await node.pull(digest)
    for (const node of cluster.nodes) await node.catalog.rememberKnownName(OTHER, digest)
    const late = await cluster.add(upstream.host)
    upstream.fault(digest, { status: 503 })
    t.after(() => upstream.heal(digest))
    assert.ok((await late.pull(digest, OTHER)).bytes.equals(bytes))
    await assert.rejects(late.pull(digest, { ...OTHER, name: 'third' }), { code: 'unavailable' })
  })

  it('costs another image that has it, on all nodes, one manifest and no request of its own', async (t) => {
    const cluster = await clusterOf(t, 6, upstream.host)
    const [base, own] = [randomBytes(2 * MIB), randomBytes(1000)]
    const shared = upstream.addBlob(base)
    for (const node of cluster.nodes) await node.pull(shared)
    const sent = upstream.bytesSent(shared)
    const { manifest, config, layers } = upstream.addImage(OTHER.name, 'v1', [base, own])
    const signal = AbortSignal.timeout(60_000)
    await Promise.all(
      cluster.nodes.map(async (node) => {
        await node.resolver.manifestByTag(OTHER, 'v1', { signal })
        await Promise.all([config, ...layers].map((digest) => node.pull(digest, OTHER)))
      }),
    )
    assert.equal(upstream.bytesSent(shared), sent)
    assert.deepEqual(requestPaths('HEAD', shared), [])
    for (const digest of [manifest, config, layers[1]]) {
      assert.equal(requestPaths('GET', digest ?? manifest).length, 1)
    }
  })

  it('that is wanted in two repositories at once is sent by upstream twice at most', async (t) => {
    const cluster = await clusterOf(t, 8, upstream.host)
    const bytes = randomBytes(6 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { drip: { bytes: 256 * 1024, everyMs: 10 }, method: 'GET' })
    const got = await Promise.all(
      cluster.nodes.map((node, at) => node.pull(digest, at % 2 === 0 ? REPOSITORY : OTHER)),
    )
    for (const each of got) assert.ok(each.bytes.equals(bytes))
    const times = upstream.bytesSent(digest) / bytes.length
    assert.ok(times <= 2.2, `upstream sent ${times.toFixed(2)} times the blob`)
  })
})
