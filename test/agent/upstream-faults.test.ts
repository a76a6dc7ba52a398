import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import { untilFlight } from '../../testkit/flight-status.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { startedThreads } from '../lanes/started-threads.ts'
import { folder } from '../store/folder.ts'
import { MIB, PATIENCE, type RunningAgent, startAgent, startUpstream } from './running-agent.ts'

async function setUp(
  t: TestContext,
  options: Partial<AgentOptions> = {},
): Promise<{ upstream: FaultyUpstream; running: RunningAgent }> {
  const upstream = await startUpstream(t)
  return { upstream, running: await startAgent(t, { upstream, ...options }) }
}

describe('a pull gets the whole blob', () => {
  it('from the byte on at which the connection to upstream ended', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { dieAt: 2 * MIB, times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
    const ranges = upstream.requests
      .filter(({ path }) => path.includes(digest))
      .map(({ headers }) => headers.range)
    assert.deepEqual(ranges, [undefined, `bytes=${2 * MIB}-`])
  })

  it('after upstream has reset the connection', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { dieAt: MIB, how: 'rst', times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })

  it('after the thread that receives it has died', async (t) => {
    const { upstream, running } = await setUp(t)
    const threads = startedThreads(t)
    const digest = upstream.addBlob(randomBytes(5 * MIB))
    upstream.fault(digest, { stallAt: 3 * MIB, times: 1 })
    const pull = running.getBlob(digest)
    await upstream.stalled(digest)
    await Promise.all(threads.map((thread) => thread.terminate()))
    const { body, isComplete } = await pull
    assert.ok(isComplete)
    assert.equal(sha256(body), digest)
    assert.equal(upstream.count(digest, 'GET'), 2)
  })

  it('after upstream has stalled', async (t) => {
    const { upstream, running } = await setUp(t, { patience: { ...PATIENCE, progressTimeoutMs: 300 } })
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { stallAt: MIB, times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })

  it('from an upstream that ignores ranges', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    upstream.fault(digest, { ignoreRange: true })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })

  it('from an upstream that has sent another range than was requested', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    upstream.fault(digest, { startLie: 10, times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })

  it('with its length, from an upstream that declares none', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(2 * MIB))
    upstream.fault(digest, { chunked: true })
    const { headers, body } = await running.getBlob(digest)
    assert.equal(headers['content-length'], String(2 * MIB))
    assert.equal(sha256(body), digest)
  })

  it('through the registry when a redirect expires in the middle', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { redirect: { uses: 1 }, dieAt: MIB, times: 1 })
    upstream.fault(digest, { redirect: { uses: 1 } })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })

  it('with a new token when the token expires in the middle', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.requireBearer({ uses: 1 })
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })
})

describe('a pull never gets a complete wrong blob', () => {
  it('but a short one that ends with a FIN, when a byte is wrong and no source has the right one', async (t) => {
    const data = await folder(t)
    const { upstream, running } = await setUp(t, { data })
    const digest = upstream.addBlob(randomBytes(3 * MIB))
    upstream.fault(digest, { corruptAt: 1_000_000 })
    const { isComplete, body } = await running.getBlob(digest)
    assert.equal(isComplete, false)
    assert.ok(body.length < 3 * MIB)
    assert.deepEqual(await readdir(join(data, 'blobs', 'sha256')).catch(() => []), [])
  })

  it('but an error, when the blob is small', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(1000))
    upstream.fault(digest, { corruptAt: 10 })
    const { status, body } = await running.getBlob(digest)
    assert.equal(status, 502)
    assert.match(body.toString(), /"errors"/)
  })

  for (const lengthLie of [-1000, 1000]) {
    it(`when upstream declares a length that is too ${lengthLie < 0 ? 'small' : 'large'}`, async (t) => {
      const { upstream, running } = await setUp(t)
      const digest = upstream.addBlob(randomBytes(2 * MIB))
      upstream.fault(digest, { lengthLie })
      const { status, isComplete } = await running.getBlob(digest)
      assert.ok(!isComplete || status >= 500, `${status}, complete: ${isComplete}`)
    })
  }
})

describe('a pull that fails', () => {
  it('is 404 when the blob does not exist, and 502 or 503 when upstream fails', async (t) => {
    const { upstream, running } = await setUp(t)
    assert.equal((await running.getBlob(sha256('nowhere'))).status, 404)
    const failing = upstream.addBlob(randomBytes(500))
    upstream.fault(failing, { status: 500 })
    assert.ok([502, 503].includes((await running.getBlob(failing)).status))
    const limited = upstream.addBlob(randomBytes(501))
    // With a longer pause, the agent would not ask upstream again in this test.
    upstream.fault(limited, { status: 429, headers: { 'retry-after': '1' } })
    assert.equal((await running.getBlob(limited)).status, 503)
    upstream.requireBasic('user', 'password')
    assert.equal((await running.getBlob(upstream.addBlob(randomBytes(502)))).status, 404)
  })

  it('fails alike for all clients that wait', async (t) => {
    const { upstream, running } = await setUp(t)
    const digest = upstream.addBlob(randomBytes(5000))
    upstream.fault(digest, { silent: true, times: 1 })
    upstream.fault(digest, { status: 500 })
    const pulls = Array.from({ length: 8 }, () => running.getBlob(digest))
    await untilFlight(running.agent, digest, ({ waiters }) => waiters === 8)
    upstream.release()
    const answers = (await Promise.all(pulls)).map(({ status, body }) => `${status} ${body}`)
    assert.equal(new Set(answers).size, 1)
  })
})
