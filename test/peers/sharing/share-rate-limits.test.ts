import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Cluster } from '../support/cluster.ts'
import { type Node, type NodeOptions, REPOSITORY } from '../support/cluster-node.ts'

const ALICE = { username: 'alice', password: 'the password of alice' }
const BOB = { username: 'bob', password: 'the password of bob' }
const TOO_MANY_REQUESTS = { status: 429, headers: { 'retry-after': '60' } }

let upstream: FaultyUpstream

beforeEach(async () => {
  upstream = await startFaultyUpstream()
})

afterEach(() => upstream.close())

async function clusterOf(t: TestContext, members: readonly NodeOptions[]): Promise<Cluster> {
  const cluster = await Cluster.start(0, upstream.host)
  t.after(() => cluster.stop())
  await Promise.all(members.map((options) => cluster.add(upstream.host, options)))
  return cluster
}

/** Fetches from upstream, without asking peers. */
async function fetchFromUpstream({ upstreams }: Node, digest: Digest, name = REPOSITORY.name): Promise<void> {
  const want = { kind: 'blob', digest, repository: { ...REPOSITORY, name } } as const
  const [source = assert.fail('there is no upstream')] = upstreams.sources(want)
  await source.bring(want, new MemoryIntake(), { signal: AbortSignal.timeout(60_000) })
}

/** Fetches a new blob from upstream. Returns the failure, if it fails. */
async function fetchBlob(node: Node): Promise<Failure | undefined> {
  try {
    await fetchFromUpstream(node, upstream.addBlob(randomBytes(100)))
    return undefined
  } catch (error) {
    assert.ok(error instanceof Failure)
    return error
  }
}

const blobRequests = (): number => upstream.requests.filter(({ path }) => path.includes('/blobs/')).length

/** Makes upstream refuse all blobs that are added from now on. */
function closeUpstream(fault = TOO_MANY_REQUESTS): void {
  const add = upstream.addBlob.bind(upstream)
  upstream.addBlob = (bytes) => {
    const digest = add(bytes)
    upstream.fault(digest, fault)
    return digest
  }
}

describe('a 429 that one member gets', () => {
  it('keeps all members with the same credential from asking upstream, and no others', async (t) => {
    const cluster = await clusterOf(t, [
      { upstream: ALICE },
      { upstream: ALICE },
      { upstream: ALICE },
      { upstream: BOB },
      {},
    ])
    const [first, second, third, bob, anonymous] = cluster.nodes as [Node, Node, Node, Node, Node]
    closeUpstream()
    assert.equal((await fetchBlob(first))?.code, 'busy')
    assert.equal(blobRequests(), 1)
    for (const node of [first, second, third]) {
      const failure = await fetchBlob(node)
      assert.equal(failure?.code, 'busy')
      assert.ok((failure.details.retryAfterMs ?? 0) > 50_000)
      assert.match(failure.message, node === first ? /has answered 429;/ : /has answered 429 to a peer;/)
    }
    assert.equal(blobRequests(), 1)
    await fetchBlob(bob)
    await fetchBlob(anonymous)
    assert.equal(blobRequests(), 3)
  })

  it('does not keep members from taking content from peers', async (t) => {
    const cluster = await clusterOf(t, [{}, {}, {}])
    const [first, second, third] = cluster.nodes as [Node, Node, Node]
    const bytes = randomBytes(300_000)
    const digest = upstream.addBlob(bytes)
    await first.pull(digest)
    closeUpstream()
    await fetchBlob(second)
    assert.ok((await third.pull(digest)).bytes.equals(bytes))
  })

  it('makes all members serve tags as they know them, without asking upstream again', async (t) => {
    const cluster = await clusterOf(
      t,
      [{}, {}, {}].map(() => ({ upstream: { tagTtlMs: 0 } })),
    )
    const { manifest } = upstream.addImage('app', 'v1', [randomBytes(100)])
    const signal = AbortSignal.timeout(60_000)
    const tagOf = (node: Node) => node.resolver.manifestByTag(REPOSITORY, 'v1', { signal })
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    upstream.fault('v1', TOO_MANY_REQUESTS)
    const before = upstream.requests.length
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    for (const node of cluster.nodes) assert.equal((await tagOf(node)).digest, manifest)
    assert.equal(upstream.requests.length - before, 1)
  })

  it('is shared, but not a 401, a 403, a 503 or a broken connection', async (t) => {
    const cluster = await clusterOf(t, [{}, {}])
    const [first, second] = cluster.nodes as [Node, Node]
    for (const fault of [{ status: 401 }, { status: 403 }, { status: 503 }, { dieAt: 0 }]) {
      const digest = upstream.addBlob(randomBytes(100))
      upstream.fault(digest, fault)
      await assert.rejects(fetchFromUpstream(first, digest, `app-${fault.status}`), Failure)
      assert.equal(await fetchBlob(second), undefined)
    }
  })
})

it('the remaining quota is known only to the members that the registry has told', async (t) => {
  const cluster = await clusterOf(t, [{}, {}])
  const [first, second] = cluster.nodes as [Node, Node]
  await fetchBlob(second)
  upstream.extraHeaders.set('ratelimit-remaining', '37;w=21600')
  await fetchBlob(first)
  const quotaOf = ({ upstreams }: Node) => upstreams.status()[0]?.quota?.remaining
  assert.deepEqual([first, second].map(quotaOf), [37, undefined])
})
