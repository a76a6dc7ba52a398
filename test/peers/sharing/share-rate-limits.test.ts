import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, it, type TestContext } from 'node:test'
import { HostRecords } from '../../../src/observe/records/hosts.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { type Node, type NodeOptions, REPOSITORY } from '../cluster.ts'
import { ALICE, BOB, bringFromUpstream, customersOf, upstreamFor } from '../support/customers.ts'

const BUSY = { status: 429, headers: { 'retry-after': '60' } }

let upstream: FaultyUpstream

beforeEach(async (t) => {
  upstream = await upstreamFor(t as TestContext)
})

const clusterOf = (t: TestContext, members: readonly NodeOptions[]) => customersOf(upstream, t, members)

/** Gives the failure, if that is what comes of it. */
async function bring(node: Node): Promise<Failure | undefined> {
  try {
    await bringFromUpstream(node, upstream.addBlob(randomBytes(100)))
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
      assert.match(failure.message, node === first ? /has answered 429;/ : /has answered 429 to a peer;/)
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
    const signal = AbortSignal.timeout(60_000)
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
      await assert.rejects(bringFromUpstream(first, digest, `app-${fault.status}`), Failure)
      assert.equal(await bring(second), undefined)
    }
  })
})

it('what is left of a quota is shown by all who share it', async (t) => {
  const cluster = await clusterOf(t, [{}, {}, { upstream: ALICE }])
  const [first, second, alice] = cluster.nodes as [Node, Node, Node]
  for (const node of [first, second, alice]) await bring(node)
  const hosts = new HostRecords()
  t.after(() => hosts.close())
  upstream.extraHeaders.set('ratelimit-limit', '100;w=21600')
  upstream.extraHeaders.set('ratelimit-remaining', '37;w=21600')
  await bring(first)
  const quotaOf = ({ upstreams }: Node) => upstreams.status()[0]?.quota?.remaining
  assert.deepEqual([first, second, alice].map(quotaOf), [37, 37, undefined])
  assert.equal(hosts.get(upstream.host)?.quota?.isFromPeer, true)
})
