import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, DEADLINE_MS, MIB, until } from '../support/cluster-fixture.ts'
import { type Node, type NodeOptions, REPOSITORY } from '../support/cluster-node.ts'
import type { Rogue } from '../support/rogue.ts'
import { runningTime } from '../support/running-clock.ts'

const JOINING = { ask: 'follow', kind: 'blob', repository: REPOSITORY, position: 0, from: null, zone: null }

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

interface Setting {
  readonly rogue: Rogue
  readonly owner: Node
  readonly other: Node
}

async function setUp(t: TestContext, options: NodeOptions = {}): Promise<Setting> {
  const cluster = await clusterOf(t, 2, upstream.host, options)
  const rogue = await cluster.addRogue()
  const [owner, other] = cluster.nodes as [Node, Node]
  return { rogue, owner, other }
}

describe('an owner', () => {
  it('refuses a member that joins in the name of another one', async (t) => {
    const { rogue, owner, other } = await setUp(t)
    for (const { id, name, host, port, fingerprint } of [owner.self, other.self]) {
      const contact = { id, name, host, port, fingerprint }
      const request = { ...JOINING, digest: digestOf(randomBytes(8)) }
      const { answer } = await rogue.ask(owner.self, { ...request, self: contact })
      assert.deepEqual(answer, {
        is: 'refused',
        code: 'denied',
        message: 'the request contains the contact of another member',
      })
      for (const [self, code] of [
        [{ ...contact, id: rogue.contact.id }, 'denied'],
        [{ ...contact, fingerprint: rogue.contact.fingerprint }, 'denied'],
        [{ ...rogue.contact, name: 'a\u001b[2Jnode' }, 'unavailable'],
        [{ ...rogue.contact, host: 'a host\n' }, 'unavailable'],
      ] as const) {
        const refused = await rogue.ask(owner.self, { ...request, self })
        assert.equal((refused.answer as { code?: string }).code, code)
      }
    }
  })

  it('refuses a repository that its settings do not allow', async (t) => {
    const { rogue, owner } = await setUp(t, { allow: ['up.test/other'] })
    const digest = upstream.addBlob(randomBytes(8))
    const { answer } = await rogue.ask(owner.self, { ...JOINING, digest, self: rogue.contact })
    assert.deepEqual(answer, {
      is: 'refused',
      code: 'denied',
      message: 'this node does not serve that repository',
    })
    assert.equal(upstream.count(digest), 0)
  })

  for (const [kind, name, what] of [
    ['manifest', 'app', 'as a manifest'],
    ['blob', 'elsewhere', 'in a wrong repository'],
  ] as const) {
    it(`brings a blob to its client although a member wants it ${what}`, async (t) => {
      // The clock is fast, so that the rogue, which is silent in its session, soon counts as failed.
      const { rogue, owner } = await setUp(t, { timeouts: { now: () => 8 * runningTime() } })
      const bytes = randomBytes(MIB)
      const digest = upstream.addBlob(bytes)
      const repository = { registry: REPOSITORY.registry, name }
      const path = `/v2/${name}/${kind}s/${digest}`
      upstream.fault(path, { silent: true, times: 1 })
      upstream.fault(path, { status: 404 })
      const request = { ...JOINING, digest, kind, repository, self: rogue.contact }
      const { exchange } = await rogue.ask(owner.self, request)
      await upstream.stalled(path)
      const pull = owner.pull(digest)
      pull.catch(() => {})
      await until(() => (owner.resolver.flights.get(digest)?.readers.joinedCount ?? 0) > 0)
      upstream.release()
      assert.ok((await pull).bytes.equals(bytes))
      exchange.end()
    })
  }

  it('has half of its flights left for its own clients when a member wants many digests', async (t) => {
    const { rogue, owner } = await setUp(t, { flightLimit: 20 })
    const wanted = Array.from({ length: 24 }, () => upstream.addBlob(randomBytes(64)))
    for (const digest of wanted) upstream.fault(digest, { silent: true })
    t.after(() => {
      upstream.heal()
      upstream.release()
    })
    let toldToFetch = 0
    const join = async (digest: Digest): Promise<void> => {
      const request = { ...JOINING, digest, self: rogue.contact }
      const { answer, exchange } = await rogue.ask(owner.self, request)
      t.after(() => exchange.destroy())
      for (let message = answer; message !== undefined; ) {
        if ((message as { is: string }).is === 'fetch') toldToFetch += 1
        message = await exchange.receive({ signal: exchange.closed, ms: DEADLINE_MS })
      }
    }
    for (const digest of wanted) void join(digest).catch(() => {})
    // The owner fetches ten digests itself, and tells the member to fetch the others.
    await until(() => owner.resolver.flights.list().length >= 10 && toldToFetch >= 14)
    assert.equal(owner.resolver.flights.list().length, 10)
    const bytes = randomBytes(1000)
    assert.ok((await owner.pull(upstream.addBlob(bytes))).bytes.equals(bytes))
  })
})
