import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { untilFlight } from '../../testkit/flight-status.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { folder } from '../store/folder.ts'
import { MIB, PATIENCE, type RunningAgent, readAnswer, startAgent, startUpstream } from './running-agent.ts'

const BYTES = randomBytes(20 * MIB + 77)

interface Setting {
  readonly upstream: FaultyUpstream
  readonly data: string
  readonly running: RunningAgent
  readonly digest: Digest
}

async function setUp(t: TestContext, options: Partial<AgentOptions> = {}): Promise<Setting> {
  const upstream = await startUpstream(t)
  const data = await folder(t)
  const patience = { ...PATIENCE, partsQuietMs: 0 }
  const running = await startAgent(t, { upstream, patience, lazyRanges: 'gated', ...options, data })
  return { upstream, data, running, digest: upstream.addBlob(BYTES) }
}

function flightEnd(digest: Digest): Promise<Events['flight.ended']> {
  return new Promise((resolve) => {
    const unsubscribe = subscribe('flight.ended', (event) => {
      if (event.digest !== digest) return
      unsubscribe()
      resolve(event)
    })
  })
}

function storedFile(data: string, digest: Digest): Promise<Buffer> {
  const [algorithm = '', hex = ''] = digest.split(':')
  return readFile(join(data, 'blobs', algorithm, hex.slice(0, 2), hex))
}

describe('parts of a blob that is not stored', () => {
  it('come before the rest, each byte once, and the blob is stored', async (t) => {
    const { upstream, data, running, digest } = await setUp(t)
    const end = flightEnd(digest)
    const parts = [
      [17 * MIB + 5, 18 * MIB],
      [9 * MIB, 9 * MIB + 100],
      [3, 70_000],
    ] as const
    const answers = await Promise.all(
      parts.map(async ([from, to]) =>
        readAnswer(await running.requestBlob(digest, `bytes=${from}-${to - 1}`)),
      ),
    )
    for (const [index, [from, to]] of parts.entries()) {
      assert.equal(answers[index]?.status, 206)
      assert.deepEqual(answers[index]?.body, BYTES.subarray(from, to))
    }
    const { isStored, error } = await end
    assert.deepEqual([isStored, error], [true, undefined])
    assert.deepEqual(await storedFile(data, digest), BYTES)
    assert.equal(upstream.bytesSent(digest), BYTES.length)
  })

  it('come in one answer where one request asks for several', async (t) => {
    const { upstream, running, digest } = await setUp(t)
    const end = flightEnd(digest)
    const answer = await readAnswer(
      await running.requestBlob(digest, 'bytes=18874368-18874375,12582912-12582919,-4'),
    )
    assert.equal(answer.status, 206)
    for (const [from, to] of [
      [18 * MIB, 18 * MIB + 8],
      [12 * MIB, 12 * MIB + 8],
      [BYTES.length - 4, BYTES.length],
    ] as const) {
      assert.ok(answer.body.includes(BYTES.subarray(from, to)), `bytes from ${from} are missing`)
    }
    await end
    assert.equal(upstream.bytesSent(digest), BYTES.length)
  })

  it('come although the transfer of the whole has come to a halt, which then goes on', async (t) => {
    const { upstream, running, digest } = await setUp(t)
    upstream.fault(digest, { stallAt: MIB + 777, times: 1 })
    const whole = running.getBlob(digest)
    await untilFlight(running.agent, digest, ({ waiters }) => waiters === 1)
    const part = await readAnswer(await running.requestBlob(digest, `bytes=${15 * MIB}-${16 * MIB - 1}`))
    assert.deepEqual(part.body, BYTES.subarray(15 * MIB, 16 * MIB))
    const near = await readAnswer(await running.requestBlob(digest, `bytes=${MIB}-${2 * MIB - 1}`))
    assert.deepEqual(near.body, BYTES.subarray(MIB, 2 * MIB))
    assert.deepEqual((await whole).body, BYTES)
    // All that was sent before the halt may be lost, and the unit in which it ended comes whole.
    assert.ok(upstream.bytesSent(digest) <= BYTES.length + 2 * MIB)
  })

  it('come in order from an upstream that knows no ranges', async (t) => {
    const { upstream, running, digest } = await setUp(t)
    upstream.fault(digest, { ignoreRange: true })
    const part = await readAnswer(await running.requestBlob(digest, `bytes=${15 * MIB}-${16 * MIB - 1}`))
    assert.deepEqual(part.body, BYTES.subarray(15 * MIB, 16 * MIB))
  })

  it('come without the last 64 KiB of a blob that is not what its digest says', async (t) => {
    const { upstream, running, digest } = await setUp(t)
    upstream.fault(digest, { corruptAt: 10 * MIB })
    const end = flightEnd(digest)
    const tail = await readAnswer(await running.requestBlob(digest, `bytes=-${MIB}`))
    assert.equal(tail.isComplete, false)
    assert.ok((await end).error !== undefined)
  })
})
