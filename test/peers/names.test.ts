import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { Failure } from '../../src/ports/failure.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Cluster } from './support/cluster.ts'
import { type Node, REPOSITORY } from './support/cluster-node.ts'

/** Digests that members have under one name, asked for under another. */

const MIB = 1024 * 1024
const OTHER: Repository = { registry: REPOSITORY.registry, name: 'other' }

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

const taken = ({ nodes }: Cluster): number =>
  nodes.reduce((sum, { network }) => {
    const members = network.report()?.members ?? []
    return sum + members.reduce((all, member) => all + member.taken, 0)
  }, 0)

const asked = (method: string, digest: Digest): string[] =>
  upstream.requests.flatMap((request) =>
    request.method === method && request.path.endsWith(digest) ? request.path : [],
  )

async function assertAbsent(pull: Promise<unknown>): Promise<void> {
  await assert.rejects(pull, (error) => error instanceof Failure && error.code === 'absent')
}

describe('what members have under one name', () => {
  it('reaches nobody through them under a name under which upstream does not have it', async (t) => {
    const cluster = await clusterOf(t, 4)
    const digest = upstream.addBlob(randomBytes(MIB))
    upstream.keepIn(REPOSITORY.name, digest)
    for (const node of cluster.nodes) await node.pull(digest)
    const late = await cluster.add(upstream.host)
    const before = taken(cluster)
    for (const node of cluster.nodes) await assertAbsent(node.pull(digest, OTHER))
    assert.equal(taken(cluster), before)
    assert.equal(late.store.stored.has(digest), false)
    assert.equal(asked('GET', digest).filter((path) => path.includes(`/${REPOSITORY.name}/`)).length, 1)
    await late.pull(digest)
    assert.equal(asked('GET', digest).filter((path) => path.includes(`/${REPOSITORY.name}/`)).length, 1)
  })

  it('is not given while it comes, either', async (t) => {
    const cluster = await clusterOf(t, 4)
    const digest = upstream.addBlob(randomBytes(8 * MIB))
    upstream.keepIn(REPOSITORY.name, digest)
    upstream.fault(digest, { stallAt: 4 * MIB, method: 'GET', times: 1 })
    const [one, two, ...others] = cluster.ranked(digest) as [Node, Node, ...Node[]]
    const pulls = [one, two].map((node) => node.pull(digest))
    const positionOf = ({ resolver }: Node) => resolver.flights.get(digest)?.position ?? 0
    while (![one, two].every((node) => positionOf(node) > MIB)) await delay(5)
    await Promise.all([one, ...others].map((node) => assertAbsent(node.pull(digest, OTHER))))
    for (const node of others) assert.equal(node.store.partials.has(digest), false)
    upstream.release()
    await Promise.all(pulls)
    const name = asked('GET', digest).filter((path) => path.includes(`/${REPOSITORY.name}/`))
    assert.equal(name.length, 1)
  })

  it('is told of and given to who asks for it under that name only', async (t) => {
    const cluster = await clusterOf(t, 2)
    const rogue = await cluster.addRogue()
    const [node] = cluster.nodes as [Node]
    const digest = upstream.addBlob(randomBytes(1000))
    upstream.keepIn(REPOSITORY.name, digest)
    await node.pull(digest)
    const said = async (message: object): Promise<Record<string, unknown>> => {
      const { answer, exchange: line } = await rogue.ask(node.self, message)
      line.destroy()
      return answer as Record<string, unknown>
    }
    const take = (repository?: Repository) => said({ ask: 'take', digest, repository, from: 0 })
    const has = (repository: Repository) => said({ ask: 'has', digest, as: { kind: 'blob', repository } })
    assert.equal((await take(REPOSITORY))['is'], 'content')
    assert.equal((await take(OTHER))['code'], 'absent')
    assert.equal((await take())['is'], 'refused')
    assert.deepEqual(await has(REPOSITORY), { is: 'held', position: 1000, whole: true })
    assert.equal((await has(OTHER))['code'], 'absent')
    const unknown = upstream.addBlob(randomBytes(8))
    assert.equal(
      (await said({ ask: 'has', digest: unknown, as: { kind: 'blob', repository: OTHER } }))['whole'],
      false,
    )
    assert.deepEqual(asked('HEAD', unknown), [])
  })

  it('is taken from them once one of them has heard from upstream that it is there, too', async (t) => {
    const cluster = await clusterOf(t, 3)
    const bytes = randomBytes(2 * MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) await node.pull(digest)
    const late = await cluster.add(upstream.host)
    assert.ok((await late.pull(digest, OTHER)).bytes.equals(bytes))
    assert.equal(upstream.bytesSent(digest), bytes.length)
    // The owner may ask, and two who may have been it before.
    assert.ok(asked('HEAD', digest).length <= 3, asked('HEAD', digest).join())
  })

  it('is taken from them when upstream cannot be asked, if they know it to be there', async (t) => {
    const cluster = await clusterOf(t, 3)
    const bytes = randomBytes(MIB)
    const digest = upstream.addBlob(bytes)
    for (const node of cluster.nodes) await node.pull(digest)
    for (const node of cluster.nodes) await node.catalog.rememberKnownName(OTHER, digest)
    const late = await cluster.add(upstream.host)
    upstream.fault(digest, { status: 503 })
    t.after(() => upstream.heal(digest))
    assert.ok((await late.pull(digest, OTHER)).bytes.equals(bytes))
    const third = { ...OTHER, name: 'third' }
    await assert.rejects(late.pull(digest, third), { code: 'unavailable' })
  })

  it('costs another image on all of them one manifest, and no question for each', async (t) => {
    const cluster = await clusterOf(t, 6)
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
    assert.deepEqual(asked('HEAD', shared), [])
    for (const digest of [manifest, config, layers[1]]) {
      assert.equal(asked('GET', digest ?? manifest).length, 1)
    }
  })

  it('is fetched under both names at once by as few transfers as there are names, at most', async (t) => {
    const cluster = await clusterOf(t, 8)
    const bytes = randomBytes(6 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { drip: { bytes: 256 * 1024, everyMs: 10 }, method: 'GET' })
    const got = await Promise.all(
      cluster.nodes.map((node, at) => node.pull(digest, at % 2 === 0 ? REPOSITORY : OTHER)),
    )
    for (const each of got) assert.ok(each.bytes.equals(bytes))
    assert.ok(
      upstream.bytesSent(digest) <= 2.2 * bytes.length,
      `${upstream.bytesSent(digest) / bytes.length}`,
    )
  })
})
