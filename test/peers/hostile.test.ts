import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Member } from '../../src/peers/identity/member.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/memory-store.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Cluster } from './support/cluster.ts'
import { type Node, type NodeOptions, REPOSITORY } from './support/cluster-node.ts'
import type { Misdeed, Rogue } from './support/rogue.ts'
import { runningTime } from './support/running-clock.ts'

const MIB = 1024 * 1024
/** Longer than anything takes here. */
const PATIENCE_MS = 60_000
const signal = AbortSignal.timeout(5 * PATIENCE_MS)

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

const QUICK = {
  policy: { progressTimeoutMs: 400, sizeTimeoutMs: PATIENCE_MS } satisfies Partial<FlightPolicy>,
}

interface Setting {
  readonly cluster: Cluster
  readonly rogue: Rogue
  readonly nodes: readonly [Node, Node]
}

async function setUp(t: TestContext, options: NodeOptions = {}): Promise<Setting> {
  const cluster = await Cluster.start(2, upstream.host, options)
  t.after(() => cluster.stop())
  const rogue = await cluster.addRogue()
  return { cluster, rogue, nodes: cluster.nodes as unknown as [Node, Node] }
}

function sent(digest: Digest): number {
  return upstream.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digest)).length
}

/** Says something for as long as it is listened to. */
async function forEver(say: () => void, { line }: { line: Parameters<Misdeed>[1] }): Promise<void> {
  for (;;) {
    say()
    await delay(20, undefined, { signal: line.closed })
  }
}

describe('an owner that is no help', () => {
  it('by telling to wait for ever is not waited for', async (t) => {
    const { cluster, rogue, nodes } = await setUp(t, QUICK)
    rogue.answers((_first, line) => forEver(() => line.send({ is: 'wait' }), { line }))
    const bytes = cluster.bytesOwnedBy(rogue.member, 100_000)
    upstream.addBlob(bytes)
    const got = await Promise.all(nodes.map((node) => node.pull(digestOf(bytes))))
    for (const each of got) assert.ok(each.bytes.equals(bytes))
  })

  it('by leading to one that gives a byte now and then is not waited for', async (t) => {
    const { cluster, rogue, nodes } = await setUp(t, QUICK)
    const bytes = cluster.bytesOwnedBy(rogue.member, 5 * MIB)
    rogue.answers(async ({ ask, digest }, line) => {
      if (ask === 'follow') {
        line.send({ is: 'take', parent: rogue.contact })
        return forEver(() => line.send({ is: 'beat' }), { line })
      }
      const dripping = {
        digest: digest as Digest,
        size: bytes.length,
        mediaType: undefined,
        readable: async (offset: number) => {
          await delay(50, undefined, { signal: line.closed })
          return offset + 1
        },
        read: async (target: Uint8Array, position: number) => {
          target.set(bytes.subarray(position, position + 1))
          return 1
        },
        close: async () => {},
      }
      line.send({ is: 'content', size: bytes.length, mediaType: null })
      await line.sendContent(dripping, 0, { signal: line.closed })
    })
    upstream.addBlob(bytes)
    const got = await nodes[0].pull(digestOf(bytes))
    assert.ok(got.bytes.equals(bytes))
  })

  it('by leading in a circle is not followed for ever', async (t) => {
    const { cluster, rogue, nodes } = await setUp(t, QUICK)
    const contacts = nodes.map((node) => {
      const { id, name, host, port, fingerprint } = node.self
      return { id, name, host, port, fingerprint }
    })
    rogue.answers(async ({ self }, line) => {
      line.send({ is: 'take', parent: contacts.find(({ id }) => id !== self.id) })
      await forEver(() => line.send({ is: 'beat' }), { line })
    })
    const bytes = cluster.bytesOwnedBy(rogue.member, MIB)
    upstream.addBlob(bytes)
    const got = await Promise.all(nodes.map((node) => node.pull(digestOf(bytes))))
    for (const each of got) assert.ok(each.bytes.equals(bytes))
  })

  it('by vouching for other bytes, and giving those, makes nobody take them for whole', async (t) => {
    const { cluster, rogue, nodes } = await setUp(t, QUICK)
    const bytes = cluster.bytesOwnedBy(rogue.member, 2 * MIB)
    const forged = randomBytes(bytes.length)
    rogue.answers(async ({ ask, digest, from }, line) => {
      if (ask === 'follow') {
        line.send({ is: 'marks', first: 0, marks: Buffer.from(checkpointsOf(forged)).toString('base64') })
        line.send({ is: 'take', parent: rogue.contact })
        return forEver(() => line.send({ is: 'beat' }), { line })
      }
      line.send({ is: 'content', size: forged.length, mediaType: null })
      await line.sendContent(whole(digest as Digest, forged), from, { signal: line.closed })
    })
    upstream.addBlob(bytes)
    // Who was given some of it is cut off and asks again, as clients do.
    const first = await nodes[0].pull(digestOf(bytes)).catch(() => undefined)
    if (first !== undefined) assert.ok(first.bytes.equals(bytes))
    const again = await nodes[0].pull(digestOf(bytes))
    assert.ok(again.bytes.equals(bytes))
    assert.ok(nodes[0].store.stored.get(digestOf(bytes)) !== undefined)
  })
})

/** So often one that lies is asked at most. */
const MOST_LIES = 6

describe('a parent that lies about the size', () => {
  for (const [what, by] of [
    ['more', 65_536],
    ['fewer', -65_536],
    ['absurdly many', 2 ** 45],
  ] as const) {
    it(`by ${what} bytes is done without`, async (t) => {
      const { cluster, rogue, nodes } = await setUp(t, QUICK)
      const bytes = cluster.bytesOwnedBy(rogue.member, 3 * MIB)
      let lies = 0
      rogue.answers(async ({ ask, digest, from }, line) => {
        if (ask === 'follow') {
          line.send({ is: 'take', parent: rogue.contact })
          return forEver(() => line.send({ is: 'beat' }), { line })
        }
        lies += 1
        line.send({ is: 'content', size: bytes.length + by, mediaType: null })
        await line.sendContent(whole(digest as Digest, bytes), from, { signal: line.closed })
      })
      upstream.addBlob(bytes)
      const ended: (Error | undefined)[] = []
      t.after(subscribe('flight.ended', ({ error }) => ended.push(error)))
      const first = await nodes[0].pull(digestOf(bytes)).catch(() => undefined)
      if (first !== undefined) assert.ok(first.bytes.equals(bytes))
      assert.ok((await nodes[0].pull(digestOf(bytes))).bytes.equals(bytes))
      assert.ok(lies > 0 && lies <= MOST_LIES, `it was asked ${lies} times`)
      await untilTrue(() => ended.length > 0)
      assert.deepEqual(ended, [undefined])
    })
  }
})

describe('what a member says of a tag', () => {
  it('that nobody can bring is not the last word', async (t) => {
    const { rogue, nodes } = await setUp(t)
    const { manifest } = upstream.addImage('app', 'v7', [randomBytes(100)])
    rogue.answers(async (_first, line) =>
      line.send({ is: 'tag', digest: digestOf(randomBytes(8)), mediaType: null, ageMs: 0 }),
    )
    await untilOwned(nodes[0], 'v7', rogue, async (tag) => {
      upstream.addTag('app', tag, manifest)
      const got = await nodes[0].resolver.manifestByTag(REPOSITORY, tag, { signal })
      assert.equal(got.digest, manifest)
    })
  })

  it('that there is none is asked of upstream', async (t) => {
    const { rogue, nodes } = await setUp(t)
    const { manifest } = upstream.addImage('app', 'v8', [randomBytes(100)])
    for (const code of ['absent', 'denied', 'busy'] as const) {
      rogue.answers(async (_first, line) => line.send({ is: 'refused', code, message: 'no' }))
      await untilOwned(nodes[0], `v8-${code}`, rogue, async (tag) => {
        upstream.addTag('app', tag, manifest)
        const got = await nodes[0].resolver.manifestByTag(REPOSITORY, tag, { signal })
        assert.equal(got.digest, manifest)
      })
    }
  })
})

describe('at an owner’s table', () => {
  it('nobody speaks for another', async (t) => {
    const { rogue, nodes } = await setUp(t)
    const [owner, victim] = nodes.map(({ self }) => self) as [Member, Member]
    for (const { id, name, host, port, fingerprint } of [owner, victim]) {
      const follow = {
        ask: 'follow',
        digest: digestOf(randomBytes(8)),
        kind: 'blob',
        repository: REPOSITORY,
        position: 0,
        from: null,
        self: { id, name, host, port, fingerprint },
        zone: null,
      }
      const { answer } = await rogue.ask(owner, follow)
      assert.deepEqual(answer, {
        is: 'refused',
        code: 'denied',
        message: 'the request contains the contact of another member',
      })
      const { id: own, fingerprint: shown } = rogue.member
      for (const [self, code] of [
        [{ ...follow.self, id: own }, 'denied'],
        [{ ...follow.self, fingerprint: shown }, 'denied'],
        [{ ...rogue.contact, name: 'a\u001b[2Jnode' }, 'unavailable'],
        [{ ...rogue.contact, host: 'a host\n' }, 'unavailable'],
      ] as const) {
        const half = await rogue.ask(owner, { ...follow, self })
        assert.equal((half.answer as { code?: string }).code, code)
      }
    }
  })

  it('one that wants a digest by a wrong name fails it for nobody else', async (t) => {
    // Who says nothing at its table is soon passed over.
    const { rogue, nodes } = await setUp(t, { timeouts: { now: () => 8 * runningTime() } })
    const [owner] = nodes
    for (const [kind, name] of [
      ['manifest', 'app'],
      ['blob', 'elsewhere'],
    ] as const) {
      const bytes = randomBytes(MIB)
      const digest = upstream.addBlob(bytes)
      const repository = { registry: REPOSITORY.registry, name }
      const path = `/v2/${name}/${kind}s/${digest}`
      upstream.fault(path, { silent: true, times: 1 })
      upstream.fault(path, { status: 404 })
      const { exchange: line } = await rogue.ask(owner.self, {
        ask: 'follow',
        digest,
        kind,
        repository,
        position: 0,
        from: null,
        self: rogue.contact,
        zone: null,
      })
      await upstream.stalled(path)
      const pull = owner.pull(digest)
      pull.catch(() => {})
      await untilTrue(() => (owner.resolver.flights.get(digest)?.readers.joinedCount ?? 0) > 0)
      upstream.release()
      assert.ok((await pull).bytes.equals(bytes))
      line.end()
    }
  })

  it('one that wants all sorts of things leaves room for those who pull here', async (t) => {
    const { rogue, nodes } = await setUp(t, { flightLimit: 20 })
    const [owner] = nodes
    const wanted = Array.from({ length: 24 }, () => upstream.addBlob(randomBytes(64)))
    for (const digest of wanted) upstream.fault(digest, { silent: true })
    t.after(() => {
      upstream.heal()
      upstream.release()
    })
    const self = rogue.contact
    const place = { ask: 'follow', kind: 'blob', repository: REPOSITORY, position: 0, from: null, zone: null }
    let sentAway = 0
    const ask = async (digest: Digest): Promise<void> => {
      const { answer, exchange: line } = await rogue.ask(owner.self, { ...place, digest, self })
      t.after(() => line.destroy())
      for (let told = answer; told !== undefined; ) {
        if ((told as { is: string }).is === 'fetch') sentAway += 1
        told = await line.receive({ signal, ms: PATIENCE_MS })
      }
    }
    for (const digest of wanted) void ask(digest).catch(() => {})
    // It brings ten of them, and tells the rogue to bring the others itself.
    await untilTrue(() => owner.resolver.flights.list().length >= 10 && sentAway >= 14)
    assert.equal(owner.resolver.flights.list().length, 10)
    const bytes = randomBytes(1000)
    assert.ok((await owner.pull(upstream.addBlob(bytes))).bytes.equals(bytes))
  })
})

describe('a member that leaves', () => {
  it('gives to the end what it has begun to give', async (t) => {
    const cluster = await Cluster.start(2, upstream.host, { uploadBytesPerSecond: 8 * MIB })
    t.after(() => cluster.stop())
    const [giver, taker] = cluster.nodes as [Node, Node]
    // Whose owner goes on being there: another one would soon have it brought from upstream.
    const bytes = cluster.bytesOwnedBy(taker.self, 4 * MIB)
    const digest = upstream.addBlob(bytes)
    await cluster.without(taker, () => giver.pull(digest))
    const pull = taker.pull(digest)
    await untilTrue(() => (taker.resolver.flights.get(digest)?.position ?? 0) > MIB / 2)
    const left = giver.network.leave({ drainMs: PATIENCE_MS })
    assert.ok((await pull).bytes.equals(bytes))
    await left
    assert.equal(sent(digest), 1)
  })
})

/** A tag of which the rogue is the owner. */
async function untilOwned(
  node: Node,
  prefix: string,
  rogue: Rogue,
  run: (tag: string) => Promise<void>,
): Promise<void> {
  for (let n = 0; ; n += 1) {
    const tag = `${prefix}-${n}`
    if (node.network.client.tagOwner(REPOSITORY, tag)?.name === rogue.member.name) return run(tag)
  }
}

async function untilTrue(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'it has not come to that')
    await delay(2)
  }
}

function whole(digest: Digest, bytes: Uint8Array) {
  return {
    digest,
    size: bytes.length,
    mediaType: undefined,
    readable: async () => bytes.length,
    read: async (target: Uint8Array, position: number) => {
      const part = bytes.subarray(position, position + target.length)
      target.set(part)
      return part.length
    },
    close: async () => {},
  }
}
