import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, it, type TestContext } from 'node:test'
import { Hosts } from '../../src/observe/hosts.ts'
import { Failure } from '../../src/resolve/failure.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../support/faulty-upstream.ts'
import { MemoryIntake } from '../support/memory-intake.ts'
import { Cluster, type Node, type NodeOptions, REPOSITORY } from './cluster.ts'

const ALICE = { username: 'alice', password: 'the password of alice' }
const BOB = { username: 'bob', password: 'the password of bob' }
const BUSY = { status: 429, headers: { 'retry-after': '60' } }

let upstream: FaultyUpstream

beforeEach(async (t) => {
  upstream = await startFaultyUpstream()
  ;(t as TestContext).after(() => upstream.close())
})

async function clusterOf(t: TestContext, members: readonly NodeOptions[]): Promise<Cluster> {
  const cluster = await Cluster.start(0, upstream.host)
  t.after(() => cluster.stop())
  await Promise.all(members.map((options) => cluster.add(upstream.host, options)))
  return cluster
}

/** From upstream, whatever peers have of it. Gives the failure, if that is what comes of it. */
async function bring(node: Node, size = 100): Promise<Failure | undefined> {
  const digest = upstream.addBlob(randomBytes(size))
  const want = { kind: 'blob', digest, repository: REPOSITORY } as const
  const [host] = node.upstreams.sources(want)
  try {
    await host?.bring(want, new MemoryIntake(), { signal: AbortSignal.timeout(10_000) })
    return undefined
  } catch (error) {
    assert.ok(error instanceof Failure)
    return error
  }
}

const asked = (): number => upstream.requests.filter(({ path }) => path.includes('/blobs/')).length

/** All blobs are refused from here on. */
function close(fault = BUSY): void {
  const add = upstream.addBlob
  upstream.addBlob = (bytes) => {
    const digest = add(bytes)
    upstream.fault(digest, fault)
    return digest
  }
}

describe('that a registry has answered 429 to one', () => {
  it('keeps all who share its allowance from asking, and nobody else', async (t) => {
    const cluster = await clusterOf(t, [
      { upstream: ALICE },
      { upstream: ALICE },
      { upstream: ALICE },
      { upstream: BOB },
      {},
    ])
    const [first, second, third, bob, nobody] = cluster.nodes as [Node, Node, Node, Node, Node]
    close()
    assert.equal((await bring(first))?.code, 'busy')
    assert.equal(asked(), 1)
    for (const node of [first, second, third]) {
      const failure = await bring(node)
      assert.equal(failure?.code, 'busy')
      assert.ok((failure.details.retryAfterMs ?? 0) > 50_000)
      assert.match(failure.message, node === first ? /has asked for a rest/ : /has asked a peer for a rest/)
    }
    assert.equal(asked(), 1)
    await bring(bob)
    await bring(nobody)
    assert.equal(asked(), 3)
  })

  it('does not keep them from taking it from a peer', async (t) => {
    const cluster = await clusterOf(t, [{}, {}, {}])
    const [first, second, third] = cluster.nodes as [Node, Node, Node]
    const bytes = randomBytes(300_000)
    const digest = upstream.addBlob(bytes)
    await first.pull(digest)
    close()
    await bring(second)
    assert.ok((await third.pull(digest)).bytes.equals(bytes))
  })

  it('leaves tags as they were known, for all, and upstream alone', async (t) => {
    const cluster = await clusterOf(
      t,
      [{}, {}, {}].map(() => ({ upstream: { tagTtlMs: 0 } })),
    )
    const { manifest } = upstream.addImage('app', 'v1', [randomBytes(100)])
    const signal = AbortSignal.timeout(20_000)
    const tagOf = (node: Node) => node.resolution.manifestByTag(REPOSITORY, 'v1', { signal })
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    upstream.fault('v1', BUSY)
    const before = upstream.requests.length
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    assert.equal(upstream.requests.length - before, 1)
  })

  it('is not said of a 401, a 5xx or a broken connection', async (t) => {
    const cluster = await clusterOf(t, [{}, {}])
    const [first, second] = cluster.nodes as [Node, Node]
    for (const fault of [{ status: 401 }, { status: 403 }, { status: 503 }, { dieAt: 0 }]) {
      const digest = upstream.addBlob(randomBytes(100))
      upstream.fault(digest, fault)
      const want = {
        kind: 'blob',
        digest,
        repository: { ...REPOSITORY, name: `app-${fault.status}` },
      } as const
      const [host] = first.upstreams.sources(want)
      await assert.rejects(async () =>
        host?.bring(want, new MemoryIntake(), { signal: AbortSignal.timeout(10_000) }),
      )
      assert.equal(await bring(second), undefined)
    }
  })
})

it('what is left of a quota is shown by all who share it', async (t) => {
  const cluster = await clusterOf(t, [{}, {}, { upstream: ALICE }])
  const [first, second, alice] = cluster.nodes as [Node, Node, Node]
  for (const node of [first, second, alice]) await bring(node)
  const hosts = new Hosts()
  t.after(() => hosts.close())
  upstream.extraHeaders.set('ratelimit-limit', '100;w=21600')
  upstream.extraHeaders.set('ratelimit-remaining', '37;w=21600')
  await bring(first)
  const quotaOf = ({ upstreams }: Node) => upstreams.status()[0]?.quota?.remaining
  assert.deepEqual([first, second, alice].map(quotaOf), [37, 37, undefined])
  assert.equal(hosts.get(upstream.host)?.quota?.isHearsay, true)
})
