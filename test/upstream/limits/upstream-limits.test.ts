import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { UpstreamLimits } from '../../../src/upstream/limits/upstream-limits.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { open } from '../opened.ts'

const BYTES = randomBytes(300_000)
const NONE = {
  connectionsPerBlob: 'auto',
  maxConnections: undefined,
  maxRequestsPerSecond: undefined,
  maxBytesPerSecond: undefined,
} as const
const { signal } = new AbortController()

describe('the connections of a blob', () => {
  it('are as many as make it faster, unless there is a number', () => {
    const { connectionsPerBlob } = new UpstreamLimits(NONE)
    assert.deepEqual(connectionsPerBlob, { most: 8, isAuto: true })
    const given = new UpstreamLimits({ ...NONE, connectionsPerBlob: 3 })
    assert.deepEqual(given.connectionsPerBlob, { most: 3, isAuto: false })
  })

  it('are not more than there may be for all blobs', () => {
    const { connectionsPerBlob } = new UpstreamLimits({ ...NONE, maxConnections: 2 })
    assert.deepEqual(connectionsPerBlob, { most: 2, isAuto: true })
  })
})

describe('transfers', () => {
  it('are as many at a time as maxConnections says', async () => {
    const limits = new UpstreamLimits({ ...NONE, maxConnections: 2 })
    const ends: (() => void)[] = []
    const transfers = [1, 2, 3].map(() =>
      limits.transfer('registry', signal, () => new Promise<void>((resolve) => ends.push(resolve))),
    )
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(ends.length, 2)
    ends[0]?.()
    await transfers[0]
    while (ends.length < 3) await new Promise((resolve) => setImmediate(resolve))
    for (const end of ends) end()
    await Promise.all(transfers)
  })

  it('fail when they have waited for too long', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const limits = new UpstreamLimits({ ...NONE, maxConnections: 1 })
    let end: (() => void) | undefined
    const first = limits.transfer('registry', signal, () => new Promise<void>((resolve) => (end = resolve)))
    const second = limits.transfer('registry', signal, async () => assert.fail('there is no connection'))
    const failed = assert.rejects(second, { code: 'busy', message: /maxConnections/ })
    t.mock.timers.tick(20_000)
    await failed
    end?.()
    await first
  })

  it('of one registry share its connections, those of ranges too', async (t) => {
    const { server, bring, source, want } = await open(t, { maxConnections: 1 })
    const digest = server.addBlob(BYTES)
    server.fault(digest, { stallAt: 1000, times: 1 })
    const first = bring(digest, new MemoryIntake())
    await server.stalled(digest)
    const intake = new MemoryIntake()
    const range = { end: 1000, size: BYTES.length }
    const second = source(digest).bringRange?.(want(digest), range, intake, { signal })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(server.count(digest), 1)
    server.release()
    await Promise.all([first, second])
    assert.equal(server.count(digest), 2)
  })
})

describe('bytes of blobs', () => {
  async function msFor(t: TestContext, maxBytesPerSecond: number): Promise<number> {
    const { server, bring } = await open(t, { maxBytesPerSecond })
    const digest: Digest = server.addBlob(BYTES)
    const intake = new MemoryIntake()
    const startedAt = performance.now()
    await bring(digest, intake)
    assert.deepEqual(Buffer.from(intake.bytes), BYTES)
    return performance.now() - startedAt
  }

  it('come no faster than maxBytesPerSecond', async (t) => {
    // The limiter grants what may come in 100 ms at once.
    assert.ok((await msFor(t, 500_000)) >= 300)
  })
})

describe('requests', () => {
  it('begin no faster than maxRequestsPerSecond', async (t) => {
    const { server, bring } = await open(t, { maxRequestsPerSecond: 20 })
    const digest = server.addBlob(BYTES)
    const startedAt = performance.now()
    await Promise.all([1, 2, 3, 4, 5].map(() => bring(digest, new MemoryIntake())))
    // Timers may be up to a millisecond early.
    assert.ok(performance.now() - startedAt >= 4 * 49)
  })
})
