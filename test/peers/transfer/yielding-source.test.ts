import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../src/oci/checkpoints.ts'
import type { Contact } from '../../../src/peers/wire/protocol/messages.ts'
import type { VouchedIntake } from '../../../src/ports/source.ts'
import { checkpointsOf } from '../../../testkit/memory/digests.ts'
import type { Fault } from '../../../testkit/registries/faulty/faults.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import {
  type Attempt,
  aborted,
  pour,
  ScriptedSource,
  sends,
  stallsAt,
} from '../../../testkit/registries/scripted-source.ts'
import { Cluster } from '../support/cluster.ts'
import type { Node } from '../support/cluster-node.ts'
import { runningTime } from '../support/running-clock.ts'
import { contactOf, type ScriptedTransferOptions, scriptedTransfer } from '../support/scripted-tracker.ts'

const MIB = 1024 * 1024
/** The flight waits for nothing between two attempts. */
const NO_BACKOFF: FlightPolicy = { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 }
/** A source without progress fails soon. No source of these tests is so slow while it makes progress. */
const SHORT_STALL: FlightPolicy = { ...NO_BACKOFF, progressTimeoutMs: 400 }

const [ONE, OTHER] = [contactOf('a'), contactOf('b')]

interface TransferOptions extends Pick<ScriptedTransferOptions, 'download' | 'onProgress' | 'policy'> {
  readonly bytes: Buffer
  readonly upstream: ScriptedSource
}

/** Begins a transfer whose owner first tells it to fetch from upstream. */
function begin({ upstream, ...options }: TransferOptions) {
  return scriptedTransfer({
    policy: NO_BACKOFF,
    ...options,
    first: { is: 'fetch' },
    sources: (transfer) => [transfer.beforeUpstream, transfer.yielding(upstream), transfer.afterUpstream],
  })
}

const source = (...steps: ((attempt: Attempt) => Promise<void>)[]) => new ScriptedSource('registry', steps)

/** A parent that has everything and vouches for it. */
const sendsAll =
  (bytes: Buffer) =>
  async ({ id, name }: Contact, intake: VouchedIntake): Promise<void> => {
    intake.setContributor({ id, name })
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes)
  }

/** Upstream sends the bytes up to `end`, and then nothing until it yields. */
const sendsUpTo = (bytes: Buffer, end: number, then: () => void) => async (attempt: Attempt) => {
  attempt.intake.expect({ size: bytes.length, mediaType: undefined })
  await pour(attempt.intake, bytes, end)
  then()
  await aborted(attempt.signal)
}

test('upstream yields to a parent in the middle, and the bytes it brought stay', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  let from = -1
  const upstream = source(
    sendsUpTo(bytes, 3 * CHECKPOINT_INTERVAL_BYTES + 5, () => owner.instruct({ is: 'take', parent: ONE })),
  )
  const { owner, ended, store, want } = begin({
    bytes,
    upstream,
    download: (parent, intake) => {
      from = intake.position
      return sendsAll(bytes)(parent, intake)
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0])
  assert.equal(from, 3 * CHECKPOINT_INTERVAL_BYTES + 5)
  assert.ok(store.stored.has(want.digest))
})

test('the bytes of the parent are checked against checkpoints', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const wrong = Buffer.from(bytes).fill(0, 5 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    sendsUpTo(bytes, 3 * CHECKPOINT_INTERVAL_BYTES, () => owner.instruct({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const taken: string[] = []
  const { owner, ended } = begin({
    bytes,
    upstream,
    download: async (parent, intake, signal) => {
      taken.push(parent.name)
      if (parent === OTHER) return sendsAll(bytes)(parent, intake)
      intake.setContributor({ id: parent.id, name: parent.name })
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, wrong, 7 * CHECKPOINT_INTERVAL_BYTES)
      await aborted(signal)
    },
    onProgress: (progress) => {
      if (progress.is === 'blamed') owner.instruct({ is: 'take', parent: OTHER })
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(taken, ['a', 'b'])
})

test('the transfer goes back to upstream when the owner says so again', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    sendsUpTo(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.instruct({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const { owner, ended } = begin({
    bytes,
    upstream,
    download: async (_parent, intake, signal) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, 5 * CHECKPOINT_INTERVAL_BYTES)
      owner.instruct({ is: 'fetch' })
      await aborted(signal)
    },
  })
  assert.equal(await ended(), undefined)
  const [, again = 0] = upstream.attempts
  assert.ok(again >= 2 * CHECKPOINT_INTERVAL_BYTES && again <= 5 * CHECKPOINT_INTERVAL_BYTES, `${again}`)
})

test('upstream does not yield before it has answered', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  let wasLeft = false
  const upstream = source(async (attempt) => {
    owner.instruct({ is: 'take', parent: ONE })
    await new Promise((resolve) => setImmediate(resolve))
    wasLeft = attempt.signal.aborted
    await sendsUpTo(bytes, CHECKPOINT_INTERVAL_BYTES, () => {})(attempt)
  })
  const { owner, ended } = begin({ bytes, upstream, download: sendsAll(bytes) })
  assert.equal(await ended(), undefined)
  assert.equal(wasLeft, false)
  assert.deepEqual(upstream.attempts, [0])
})

test('upstream yields a limited number of times, however often the owner changes its instruction', async () => {
  const bytes = randomBytes(40 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(async (attempt) => {
    attempt.intake.expect({ size: bytes.length, mediaType: undefined })
    while (!attempt.signal.aborted && attempt.intake.position < bytes.length) {
      await pour(
        attempt.intake,
        bytes,
        Math.min(bytes.length, attempt.intake.position + CHECKPOINT_INTERVAL_BYTES),
      )
      owner.instruct({ is: 'take', parent: ONE })
      await new Promise((resolve) => setImmediate(resolve))
    }
    attempt.signal.throwIfAborted()
  })
  const { owner, ended } = begin({
    bytes,
    upstream,
    download: async (_parent, intake, signal) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      owner.instruct({ is: 'fetch' })
      await aborted(signal)
    },
  })
  assert.equal(await ended(), undefined)
  assert.equal(upstream.attempts.length, 5)
})

test('upstream does not yield when it is asked without an instruction, after the peers have failed', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    sendsUpTo(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.instruct({ is: 'take', parent: ONE })),
    async (attempt) => {
      attempt.intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(attempt.intake, bytes, 3 * CHECKPOINT_INTERVAL_BYTES)
      owner.instruct({ is: 'take', parent: OTHER })
      await new Promise((resolve) => setImmediate(resolve))
      attempt.signal.throwIfAborted()
      await pour(attempt.intake, bytes)
    },
  )
  const download = (_parent: Contact, _intake: VouchedIntake, signal: AbortSignal) => aborted(signal)
  const { owner, ended } = begin({
    bytes,
    upstream,
    download,
    policy: { ...SHORT_STALL, attemptsPerSource: 1 },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('upstream continues when the owner and the parent that it named are gone', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(
    sendsUpTo(bytes, 2 * CHECKPOINT_INTERVAL_BYTES, () => owner.instruct({ is: 'take', parent: ONE })),
    sends(bytes),
  )
  const { owner, ended } = begin({
    bytes,
    upstream,
    download: async () => {
      owner.disconnect()
      throw new Error('the parent is gone')
    },
  })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('an upstream that stalls is given up', async () => {
  const bytes = randomBytes(9 * CHECKPOINT_INTERVAL_BYTES)
  const upstream = source(stallsAt(bytes, 2 * CHECKPOINT_INTERVAL_BYTES), sends(bytes))
  const { ended } = begin({ bytes, upstream, download: sendsAll(bytes), policy: SHORT_STALL })
  assert.equal(await ended(), undefined)
  assert.deepEqual(upstream.attempts, [0, 2 * CHECKPOINT_INTERVAL_BYTES])
})

test('a slow fetcher ends its request when a member joins that has more', async (t) => {
  const [slow, fast] = await Promise.all([startFaultyUpstream(), startFaultyUpstream()])
  t.after(() => Promise.all([slow.close(), fast.close()]))
  const cluster = await Cluster.start(0, '')
  t.after(() => cluster.stop())
  const [fetcher, other] = await Promise.all([cluster.add(slow.host), cluster.add(fast.host)])
  const bytes = cluster.bytesOwnedBy(fetcher.self, 12 * MIB)
  const digest = slow.addBlob(bytes)
  fast.addBlob(bytes)
  // At this rate the whole content would take four minutes, so the other member is faster on any machine.
  slow.fault(digest, { drip: { bytes: 1024, everyMs: 20 } })
  other.store.partials.set(digest, Uint8Array.from(bytes.subarray(0, 10 * MIB)))
  const first = fetcher.pull(digest)
  await new Promise<void>((resolve) => {
    const { flights } = fetcher.resolver
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

test('a fetcher with a slow link ends its request and is replaced by a member that was faster before', async (t) => {
  const [slow, fast] = await Promise.all([startFaultyUpstream(), startFaultyUpstream()])
  t.after(() => Promise.all([slow.close(), fast.close()]))
  const cluster = await Cluster.start(0, '')
  t.after(() => cluster.stop())
  // The clock runs twice as fast, so that a fetcher is judged in half of the time.
  const timeouts = { now: () => 2 * runningTime() }
  // Each member has measured its download rate before.
  const fetcher = await cluster.add(slow.host, { timeouts })
  const slowDrip = { drip: { bytes: 8192, everyMs: 20 } }
  const others = []
  for (let at = 0; at < 3; at += 1) others.push(await cluster.add(fast.host, { timeouts }))
  const measureRate = async (node: Node, upstream: FaultyUpstream, fault: Fault): Promise<void> => {
    const before = cluster.bytesOwnedBy(node.self, node === fetcher ? MIB / 2 : 5 * MIB)
    const digest = upstream.addBlob(before)
    upstream.fault(digest, fault)
    await node.pull(digest)
  }
  const fastDrip = { drip: { bytes: 262_144, everyMs: 20 } }
  await Promise.all([
    measureRate(fetcher, slow, slowDrip),
    ...others.map((node) => measureRate(node, fast, fastDrip)),
  ])
  const bytes = cluster.bytesOwnedBy(fetcher.self, 8 * MIB)
  const digest = slow.addBlob(bytes)
  fast.addBlob(bytes)
  // The link becomes so slow that the others are faster on any machine.
  slow.fault(digest, { drip: { bytes: 1024, everyMs: 20 } })
  const got = await Promise.all([fetcher, ...others].map((node) => node.pull(digest)))
  for (const one of got) assert.ok(one.bytes.equals(bytes))
  assert.ok(slow.bytesSent(digest) < 4 * MIB, `${slow.bytesSent(digest)}`)
  const sent = slow.bytesSent(digest) + fast.bytesSent(digest)
  assert.ok(sent < bytes.length + 2 * MIB, `${sent / bytes.length}`)
  assert.equal(slow.count(digest, 'GET'), 1)
  // On a busy machine a successor may be slow, too, and is replaced in turn.
  const successors = fast.count(digest, 'GET')
  assert.ok(successors >= 1 && successors <= others.length, `${successors}`)
})
