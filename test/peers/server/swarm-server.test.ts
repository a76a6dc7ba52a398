import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Cluster } from '../support/cluster.ts'
import { REPOSITORY } from '../support/cluster-node.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

describe('a node that listens and has not joined yet', () => {
  it('answers every request with busy, and properly once it has joined', async (t) => {
    const cluster = await Cluster.start(0, upstream.host)
    t.after(() => cluster.stop())
    const rogue = await cluster.addRogue()
    const node = await cluster.open(upstream.host)
    const digest = upstream.addBlob(randomBytes(100))
    const as = { kind: 'blob', repository: REPOSITORY }
    const requests = [
      { ask: 'has', digest, as },
      { ask: 'tag', repository: REPOSITORY, tag: 'v1' },
      { ask: 'warm', images: 1, platforms: [], referrers: false, pin: false },
      { ask: 'follow', digest, ...as, position: 0, from: null, self: rogue.contact, zone: null },
    ]
    for (const request of requests) {
      const { answer, exchange } = await rogue.ask(node.self, request)
      exchange.end()
      assert.deepEqual(answer, { is: 'refused', code: 'busy', message: 'this node is still starting' })
    }
    const want = { digest, kind: 'blob', repository: REPOSITORY } as const
    await assert.rejects(rogue.take(node.self, want, new MemoryIntake()), {
      code: 'busy',
      message: /still starting/,
    })
    assert.deepEqual(upstream.requests, [])
    await node.join()
    const { answer, exchange } = await rogue.ask(node.self, { ask: 'has', digest, as })
    exchange.end()
    assert.deepEqual(answer, { is: 'held', position: 0, whole: false })
  })

  it('asks no member, and its flights go to upstream', async (t) => {
    const cluster = await Cluster.start(1, upstream.host)
    t.after(() => cluster.stop())
    const node = await cluster.open(upstream.host)
    const bytes = randomBytes(1000)
    const digest = upstream.addBlob(bytes)
    const got = await node.pull(digest)
    assert.ok(got.bytes.equals(bytes))
    assert.equal(got.from, 'upstream')
  })
})
