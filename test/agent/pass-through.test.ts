import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { Clock } from '../../testkit/clock.ts'
import { untilFlight } from '../../testkit/flight-status.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { folder, smallDisk } from '../store/folder.ts'
import { MIB, PATIENCE, type RunningAgent, readAnswer, startAgent, startUpstream } from './running-agent.ts'

const LIMIT = { bytes: 2 * MIB }

interface Setting {
  readonly upstream: FaultyUpstream
  readonly data: string
  readonly running: RunningAgent
}

/** Starts an agent that may store 2 MiB. */
async function setUp(t: TestContext, options: Partial<AgentOptions> = {}): Promise<Setting> {
  const upstream = await startUpstream(t)
  const data = options.data ?? (await folder(t))
  const running = await startAgent(t, { upstream, maxBytes: LIMIT, ...options, data })
  return { upstream, data, running }
}

/** Resolves with the event at the end of the digest's flight. */
function flightEnd(digest: Digest): Promise<Events['flight.ended']> {
  return new Promise((resolve) => {
    const unsubscribe = subscribe('flight.ended', (event) => {
      if (event.digest !== digest) return
      unsubscribe()
      resolve(event)
    })
  })
}

async function filesIn(data: string): Promise<string[]> {
  const files: string[] = []
  for (const name of ['partial', 'blobs', 'quarantine']) {
    const entries = await readdir(join(data, name), { recursive: true, withFileTypes: true })
    files.push(...entries.filter((entry) => entry.isFile()).map((entry) => `${name}/${entry.name}`))
  }
  return files
}

describe('a blob larger than the limit', () => {
  for (const clients of [1, 20]) {
    it(`reaches ${clients === 1 ? 'a client' : `${clients} clients`} whole, and upstream sends it once`, async (t) => {
      const { upstream, data, running } = await setUp(t)
      const digest = upstream.addBlob(randomBytes(10 * MIB))
      const end = flightEnd(digest)
      upstream.fault(digest, { stallAt: 0, times: 1 })
      const pulls = Array.from({ length: clients }, async () => {
        const { status, body } = await running.getBlob(digest)
        return status === 200 ? sha256(body) : status
      })
      await untilFlight(running.agent, digest, ({ waiters }) => waiters === clients)
      upstream.release()
      for (const found of await Promise.all(pulls)) assert.equal(found, digest)
      assert.equal(upstream.bytesSent(digest), 10 * MIB)
      const { isStored, passThroughReason, error } = await end
      assert.deepEqual([isStored, error], [false, undefined])
      assert.match(String(passThroughReason), /room/)
      assert.deepEqual(await filesIn(data), [])
    })
  }

  it('evicts nothing', async (t) => {
    const { upstream, running } = await setUp(t)
    const small = upstream.addBlob(randomBytes(MIB))
    assert.equal(sha256((await running.getBlob(small)).body), small)
    const large = upstream.addBlob(randomBytes(12 * MIB))
    assert.equal(sha256((await running.getBlob(large)).body), large)
    assert.equal(sha256((await running.getBlob(small)).body), small)
    assert.equal(upstream.bytesSent(small), MIB)
  })

  it('does not wait for a client that stops reading', async (t) => {
    const upstream = await startUpstream(t)
    const clock = new Clock(t, { turnMs: 1 })
    const running = await startAgent(t, {
      upstream,
      maxBytes: LIMIT,
      patience: { ...PATIENCE, progressTimeoutMs: 300 },
    })
    const digest = upstream.addBlob(randomBytes(32 * MIB))
    const paused = await running.requestBlob(digest)
    paused.on('error', () => {})
    paused.pause()
    const answers = await clock.until(Promise.all([running.getBlob(digest), running.getBlob(digest)]))
    for (const { body } of answers) assert.equal(sha256(body), digest)
    assert.equal(upstream.bytesSent(digest), 32 * MIB)
    assert.equal((await readAnswer(paused)).isComplete, false)
    await clock.until(running.stop({ drainMs: 0 }))
  })

  it('reaches the other clients whole when one leaves', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const [leaving, staying] = await Promise.all([running.requestBlob(digest), running.requestBlob(digest)])
    await once(leaving, 'readable')
    leaving.destroy()
    assert.equal(sha256((await readAnswer(staying)).body), digest)
  })

  it('is given up when all clients have left', async (t) => {
    const { upstream, data, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(40 * MIB))
    const end = flightEnd(digest)
    const only = await running.requestBlob(digest)
    await once(only, 'readable')
    only.destroy()
    assert.match(String((await end).error), /All clients have left/)
    assert.ok(upstream.bytesSent(digest) < 40 * MIB)
    assert.deepEqual(await filesIn(data), [])
  })

  it('is 503 when its first bytes have left memory, except for a range that is still to come', async (t) => {
    const { upstream, running } = await setUp(t)
    const bytes = randomBytes(24 * MIB)
    const digest = upstream.addBlob(bytes)
    // Memory holds less than what has come before the stall.
    upstream.fault(digest, { stallAt: 16 * MIB, times: 1 })
    const first = running.getBlob(digest)
    await untilFlight(running.agent, digest, ({ position }) => position === 16 * MIB)
    assert.equal((await running.getBlob(digest)).status, 503)
    const range = running.getBlob(digest, `bytes=${20 * MIB}-${21 * MIB - 1}`)
    await untilFlight(running.agent, digest, ({ waiters }) => waiters === 2)
    upstream.release()
    assert.ok((await range).body.equals(bytes.subarray(20 * MIB, 21 * MIB)))
    assert.equal(sha256((await first).body), digest)
    assert.equal(upstream.count(digest), 1)
  })

  it('is continued where a source breaks off', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    upstream.fault(digest, { dieAt: 12 * MIB, times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
    assert.equal(upstream.bytesSent(digest), 16 * MIB)
  })

  it('ends short and leaves no file when a byte is wrong', async (t) => {
    const { upstream, data, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(12 * MIB))
    upstream.fault(digest, { corruptAt: 1_000_000 })
    const answers = await Promise.all([running.getBlob(digest), running.getBlob(digest)])
    for (const { isComplete } of answers) assert.equal(isComplete, false)
    assert.deepEqual(await filesIn(data), [])
  })

  it('is refused in time when upstream declares no length', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(20 * MIB))
    upstream.fault(digest, { chunked: true })
    assert.equal((await running.getBlob(digest)).status, 502)
  })

  it('ends short and leaves no file when the agent stops', async (t) => {
    const { upstream, data, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    upstream.fault(digest, { stallAt: 12 * MIB })
    const pull = running.getBlob(digest)
    await upstream.stalled(digest)
    await running.agent.stop({ drainMs: 0 })
    assert.equal((await pull).isComplete, false)
    assert.deepEqual(await filesIn(data), [])
  })
})

describe('a disk that becomes full in the middle of a pull', () => {
  it('is noticed by no client, is freed again, and takes the next blob that fits', async (t) => {
    const data = await smallDisk(t, 8 * MIB)
    if (data === undefined) return
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream, data })
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const end = flightEnd(digest)
    upstream.fault(digest, { stallAt: 0, times: 1 })
    const pulls = Array.from({ length: 8 }, async () => sha256((await running.getBlob(digest)).body))
    await untilFlight(running.agent, digest, ({ waiters }) => waiters === 8)
    upstream.release()
    for (const found of await Promise.all(pulls)) assert.equal(found, digest)
    assert.equal(upstream.bytesSent(digest), 16 * MIB)
    const { isStored, passThroughReason, error } = await end
    assert.deepEqual([isStored, error], [false, undefined])
    assert.match(String(passThroughReason), /no space left/)
    assert.deepEqual(await filesIn(data), [])
    const small = upstream.addBlob(randomBytes(MIB))
    const smallEnd = flightEnd(small)
    assert.equal(sha256((await running.getBlob(small)).body), small)
    assert.equal((await smallEnd).isStored, true)
    upstream.fault(small, { status: 500 })
    assert.equal(sha256((await running.getBlob(small)).body), small)
  })
})
