import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../src/oci/checkpoints.ts'
import type { Contact } from '../../../src/peers/wire/messages.ts'
import type { VouchedIntake } from '../../../src/ports/source.ts'
import { checkpointsOf } from '../../../testkit/memory/memory-store.ts'
import {
  type Fault,
  type FaultyUpstream,
  startFaultyUpstream,
} from '../../../testkit/registries/faulty-upstream.ts'
import {
  type Attempt,
  aborted,
  pour,
  ScriptedSource,
  sends,
  stallsAt,
} from '../../../testkit/registries/scripted-source.ts'
import { Cluster, type Node } from '../cluster.ts'
import { runningTime } from '../support/running-clock.ts'
import { contactOf, type Seat, seated } from '../support/seated.ts'

const MIB = 1024 * 1024
/** Between two attempts nothing is waited for. */
const AT_ONCE = { ...DEFAULT_FLIGHT_POLICY, backoffMs: 1 }
/** Who brings nothing is soon given up; who brings something never is so slow. */
const QUICK = { ...AT_ONCE, stallMs: 400 }

const [ONE, OTHER] = [contactOf('a'), contactOf('b')]

interface Setting extends Pick<Seat, 'take' | 'hears' | 'policy'> {
  readonly bytes: Buffer
  readonly upstream: ScriptedSource
}

/** Fetched from upstream at first, as the owner says. */
function begin({ upstream, ...setting }: Setting) {
  return seated({
    policy: AT_ONCE,
    ...setting,
    first: { is: 'fetch' },
    sources: (participation) => [participation.first, participation.heeding(upstream), participation.last],
  })
}

const source = (...steps: ((attempt: Attempt) => Promise<void>)[]) => new ScriptedSource('registry', steps)

/** As one who has it all gives it, with marks. */
const gives =
  (bytes: Buffer) =>
  async ({ id, name }: Contact, intake: VouchedIntake): Promise<void> => {
    intake.setContributor({ id, name })
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes)
  }

/** What upstream does until it is left. */
const slowly = (bytes: Buffer, end: number, then: () => void) => async (one: Attempt) => {
  one.intake.expect({ size: bytes.length, mediaType: undefined })
  await pour(one.intake, bytes, end)
  then()
  await aborted(one.signal)
}

test('upstream is left for a peer in the middle, and what it brought stays', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  let from = -1
  const upstream = source(
    slowly(bytes, 3 * CHECKPOINT_INTERVAL_BYTES + 5, () => owner.say({ is: 'take', parent: ONE })),
  )
  const { owner, ended, store, want } = begin({
    bytes,
    upstream,
    take: (parent, intake) => {
      from = intake.position
      return gives(bytes)(parent, intake)
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0])
  assert.equal(from, 3 * CHECKPOINT_INTERVAL_BYTES + 5)
  assert.ok(store.stored.has(want.digest))
})

test('what a peer then brings is held against marks like all that peers bring', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const wrong = Buffer.from(bytes).fill(0, 5 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    slowly(bytes, 3 * CHECKPOINT_INTERVAL_BYTES, () => owner.say({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const taken: string[] = []
  const { owner, ended } = begin({
    bytes,
    upstream,
    take: async (parent, intake, signal) => {
      taken.push(parent.name)
      if (parent === OTHER) return gives(bytes)(parent, intake)
      intake.setContributor({ id: parent.id, name: parent.name })
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, wrong, 7 * CHECKPOINT_INTERVAL_BYTES)
      await aborted(signal)
    },
    hears: (news) => {
      if (news.is === 'blamed') owner.say({ is: 'take', parent: OTHER })
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(taken, ['a', 'b'])
})

test('it goes back there when the owner says so again', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    slowly(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.say({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const { owner, ended } = begin({
    bytes,
    upstream,
    take: async (_parent, intake, signal) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, 5 * CHECKPOINT_INTERVAL_BYTES)
      owner.say({ is: 'fetch' })
      await aborted(signal)
    },
  })
  assert.equal(await ended(), undefined)
  const [, again = 0] = upstream.attempts
  assert.ok(again >= 2 * CHECKPOINT_INTERVAL_BYTES && again <= 5 * CHECKPOINT_INTERVAL_BYTES, `${again}`)
})

test('it is not left before it has answered', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  let wasLeft = false
  const upstream = source(async (one) => {
    owner.say({ is: 'take', parent: ONE })
    await new Promise((resolve) => setImmediate(resolve))
    wasLeft = one.signal.aborted
    await slowly(bytes, CHECKPOINT_INTERVAL_BYTES, () => {})(one)
  })
  const { owner, ended } = begin({ bytes, upstream, take: gives(bytes) })
  assert.equal(await ended(), undefined)
  assert.equal(wasLeft, false)
  assert.deepEqual(upstream.attempts, [0])
})

test('an owner that cannot make up its mind is not heeded for long', async () => {
  const bytes = randomBytes(40 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(async (one) => {
    one.intake.expect({ size: bytes.length, mediaType: undefined })
    while (!one.signal.aborted && one.intake.position < bytes.length) {
      await pour(one.intake, bytes, Math.min(bytes.length, one.intake.position + CHECKPOINT_INTERVAL_BYTES))
      owner.say({ is: 'take', parent: ONE })
      await new Promise((resolve) => setImmediate(resolve))
    }
    one.signal.throwIfAborted()
  })
  const { owner, ended } = begin({
    bytes,
    upstream,
    take: async (_parent, intake, signal) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      owner.say({ is: 'fetch' })
      await aborted(signal)
    },
  })
  assert.equal(await ended(), undefined)
  assert.equal(upstream.attempts.length, 5)
})

test('when peers were no help and upstream is asked without the owner’s word, it stays with that', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    slowly(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.say({ is: 'take', parent: ONE })),
    async (one) => {
      one.intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(one.intake, bytes, 3 * CHECKPOINT_INTERVAL_BYTES)
      owner.say({ is: 'take', parent: OTHER })
      await new Promise((resolve) => setImmediate(resolve))
      one.signal.throwIfAborted()
      await pour(one.intake, bytes)
    },
  )
  const take = (_parent: Contact, _intake: VouchedIntake, signal: AbortSignal) => aborted(signal)
  const { owner, ended } = begin({ bytes, upstream, take, policy: { ...QUICK, attemptsPerSource: 1 } })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('when the owner dies after it has called back, and whom it named, too, upstream goes on', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    slowly(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.say({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const { owner, ended } = begin({
    bytes,
    upstream,
    take: async () => {
      owner.die()
      throw new Error('nobody is there')
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('upstream that stalls is given up as ever', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(stallsAt(bytes, 2 * CHECKPOINT_INTERVAL_BYTES), sends(bytes))
  const { ended } = begin({ bytes, upstream, take: gives(bytes), policy: QUICK })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('one that brings it slowly ends its request when somebody has come who has more', async (t) => {
  const [slow, fast] = await Promise.all([startFaultyUpstream(), startFaultyUpstream()])
  t.after(() => Promise.all([slow.close(), fast.close()]))
  const cluster = await Cluster.start(0, '')
  t.after(() => cluster.stop())
  const [head, other] = await Promise.all([cluster.add(slow.host), cluster.add(fast.host)])
  assert.ok(head.member)
  const bytes = cluster.bytesOwnedBy(head.member, 12 * MIB)
  const digest = slow.addBlob(bytes)
  fast.addBlob(bytes)
  // At this pace all of it would take a minute.
  slow.fault(digest, { drip: { bytes: 4096, everyMs: 20 } })
  other.store.partials.set(digest, Uint8Array.from(bytes.subarray(0, 10 * MIB)))
  const first = head.pull(digest)
  await new Promise<void>((resolve) => {
    const { flights } = head.resolution
    const stop = flights.watch(digest, () => {
      if ((flights.get(digest)?.position ?? 0) === 0) return
      stop()
      resolve()
    })
  })
  const second = await other.pull(digest)
  assert.ok(second.bytes.equals(bytes))
  assert.ok((await first).bytes.equals(bytes))
  assert.ok(slow.bytesSent(digest) < 4 * MIB, `${slow.bytesSent(digest)}`)
  assert.ok(fast.bytesSent(digest) <= 2 * MIB + CHECKPOINT_INTERVAL_BYTES, `${fast.bytesSent(digest)}`)
  assert.equal(slow.count(digest, 'GET') + fast.count(digest, 'GET'), 2)
})

test('one whose link is slow hands over to one that has shown to be faster, and ends its request', async (t) => {
  const [slow, fast] = await Promise.all([startFaultyUpstream(), startFaultyUpstream()])
  t.after(() => Promise.all([slow.close(), fast.close()]))
  const cluster = await Cluster.start(0, '')
  t.after(() => cluster.stop())
  // A head is judged in half of the time.
  const patience = { now: () => 2 * runningTime() }
  // What each has of late, when it was there by itself.
  const head = await cluster.add(slow.host, { patience })
  const drip = { drip: { bytes: 8192, everyMs: 20 } }
  const others = []
  for (let at = 0; at < 3; at += 1) others.push(await cluster.add(fast.host, { patience }))
  assert.ok(head.member)
  const pullBefore = async (node: Node, upstream: FaultyUpstream, pace: Fault): Promise<void> => {
    assert.ok(node.member)
    const before = cluster.bytesOwnedBy(node.member, node === head ? MIB / 2 : 5 * MIB)
    const digest = upstream.addBlob(before)
    upstream.fault(digest, pace)
    await node.pull(digest)
  }
  const quick = { drip: { bytes: 262_144, everyMs: 20 } }
  await Promise.all([pullBefore(head, slow, drip), ...others.map((node) => pullBefore(node, fast, quick))])
  const bytes = cluster.bytesOwnedBy(head.member, 8 * MIB)
  const digest = slow.addBlob(bytes)
  fast.addBlob(bytes)
  slow.fault(digest, drip)
  const got = await Promise.all([head, ...others].map((node) => node.pull(digest)))
  for (const one of got) assert.ok(one.bytes.equals(bytes))
  assert.ok(slow.bytesSent(digest) < 4 * MIB, `${slow.bytesSent(digest)}`)
  const sent = slow.bytesSent(digest) + fast.bytesSent(digest)
  assert.ok(sent < bytes.length + 2 * MIB, `${sent / bytes.length}`)
  assert.equal(slow.count(digest, 'GET'), 1)
  assert.equal(fast.count(digest, 'GET'), 1)
})
