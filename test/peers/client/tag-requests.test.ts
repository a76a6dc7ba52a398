import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, DEADLINE_MS, getCount, UNREACHABLE } from '../support/cluster-fixture.ts'
import { type Node, REPOSITORY } from '../support/cluster-node.ts'
import type { Rogue } from '../support/rogue.ts'

const signal = AbortSignal.timeout(5 * DEADLINE_MS)

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

describe('a tag', () => {
  it('costs upstream one request, however many members want it', async (t) => {
    const cluster = await clusterOf(t, 6, upstream.host)
    const { manifest } = upstream.addImage('app', 'v1', [randomBytes(1000)])
    const got = await Promise.all(
      cluster.nodes.map((node) => node.resolver.manifestByTag(REPOSITORY, 'v1', { signal })),
    )
    for (const each of got) assert.equal(each.digest, manifest)
    assert.equal(upstream.requests.filter(({ path }) => path.endsWith('/manifests/v1')).length, 1)
    assert.equal(getCount(upstream, manifest), 1)
  })

  it('is known to a member that cannot reach upstream, also if it owns the tag', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host)
    const disconnected = await cluster.add(UNREACHABLE)
    const tags = Array.from({ length: 24 }, (_, at) => `v${at}`)
    const { manifest } = upstream.addImage('app', tags[0] ?? '', [randomBytes(1000)])
    for (const tag of tags) upstream.addTag('app', tag, manifest)
    for (const tag of tags) {
      const got = await disconnected.resolver.manifestByTag(REPOSITORY, tag, { signal })
      assert.equal(got.digest, manifest, tag)
    }
  })

  it('is known to an owner that cannot reach upstream, also while the others wait for its answer', async (t) => {
    const cluster = await clusterOf(t, 3, upstream.host)
    const disconnected = await cluster.add(UNREACHABLE)
    const { manifest } = upstream.addImage('app', 'v0', [randomBytes(1000)])
    let owned = 0
    for (let n = 0; owned < 4; n += 1) {
      const tag = `at-once-${n}`
      if (disconnected.network.client.tagOwner(REPOSITORY, tag)?.self !== true) continue
      owned += 1
      upstream.addTag('app', tag, manifest)
      const pulls = cluster.nodes.map((node) => node.resolver.manifestByTag(REPOSITORY, tag, { signal }))
      for (const got of await Promise.all(pulls)) assert.equal(got.digest, manifest, tag)
      const heads = upstream.requests.filter(({ method, path }) => method === 'HEAD' && path.endsWith(tag))
      assert.equal(heads.length, 1, `requests to upstream for ${tag}`)
    }
  })
})

describe('an owner’s answer about a tag', () => {
  async function nodeWithRogue(t: TestContext): Promise<{ node: Node; rogue: Rogue }> {
    const cluster = await clusterOf(t, 2, upstream.host)
    const rogue = await cluster.addRogue()
    return { node: cluster.nodes[0] as Node, rogue }
  }

  /** Finds a tag that the rogue owns. */
  function ownedTag(prefix: string, node: Node, rogue: Rogue): string {
    for (let n = 0; ; n += 1) {
      const tag = `${prefix}-${n}`
      if (node.network.client.tagOwner(REPOSITORY, tag)?.name === rogue.member.name) return tag
    }
  }

  it('is given up for upstream’s when no source has the digest', async (t) => {
    const { node, rogue } = await nodeWithRogue(t)
    rogue.answers(async (_request, exchange) =>
      exchange.send({ is: 'tag', digest: digestOf(randomBytes(8)), mediaType: null, ageMs: 0 }),
    )
    const tag = ownedTag('unknown-digest', node, rogue)
    const { manifest } = upstream.addImage('app', tag, [randomBytes(100)])
    const got = await node.resolver.manifestByTag(REPOSITORY, tag, { signal })
    assert.equal(got.digest, manifest)
  })

  for (const code of ['absent', 'denied', 'busy'] as const) {
    it(`that is a refusal with ${code} is not believed: upstream is asked`, async (t) => {
      const { node, rogue } = await nodeWithRogue(t)
      rogue.answers(async (_request, exchange) => exchange.send({ is: 'refused', code, message: 'no' }))
      const tag = ownedTag(code, node, rogue)
      const { manifest } = upstream.addImage('app', tag, [randomBytes(100)])
      const got = await node.resolver.manifestByTag(REPOSITORY, tag, { signal })
      assert.equal(got.digest, manifest)
    })
  }
})
