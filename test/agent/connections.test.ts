import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { UpstreamEntry } from '../../src/upstream/options/options.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { smallDisk } from '../store/folder.ts'
import { MIB, PATIENCE, type RunningAgent, startAgent, startUpstream } from './running-agent.ts'

const BYTES = randomBytes(66 * MIB + 77)
const PIECE = 8 * MIB

interface Setting {
  readonly upstream: FaultyUpstream
  readonly running: RunningAgent
  readonly digest: Digest
}

async function setUp(
  t: TestContext,
  entry: Partial<UpstreamEntry> = {},
  options: Partial<AgentOptions> = {},
): Promise<Setting> {
  const upstream = await startUpstream(t)
  const entries = [
    { namespace: 'up.test', hosts: [upstream.host], tls: false, connectionsPerBlob: 4, ...entry },
  ]
  const running = await startAgent(t, { upstream, upstreams: { entries }, ...options })
  return { upstream, running, digest: upstream.addBlob(BYTES) }
}

async function getWhole({ running, digest }: Setting): Promise<void> {
  const { status, body, isComplete } = await running.getBlob(digest)
  assert.deepEqual([status, isComplete], [200, true])
  assert.ok(body.equals(BYTES))
}

describe('a large blob of an upstream with four connections', () => {
  it('comes by ranges, each byte once, while clients follow', async (t) => {
    const setting = await setUp(t)
    await Promise.all([getWhole(setting), getWhole(setting)])
    const { upstream, digest } = setting
    assert.equal(upstream.bytesSent(digest), BYTES.length)
    assert.equal(upstream.count(digest), Math.ceil(BYTES.length / PIECE))
    await getWhole(setting)
    assert.equal(upstream.bytesSent(digest), BYTES.length)
  })

  it('comes when one connection breaks off, and another one stalls', async (t) => {
    const patience = { ...PATIENCE, progressTimeoutMs: 3000 }
    const setting = await setUp(t, {}, { patience })
    const { upstream, digest } = setting
    upstream.fault(digest, { times: 1 })
    upstream.fault(digest, { dieAt: PIECE + 3 * MIB, times: 1 })
    upstream.fault(digest, { stallAt: 2 * PIECE + MIB })
    const healed = upstream.stalled(digest).then(() => upstream.heal(digest))
    await Promise.all([getWhole(setting), healed])
    upstream.release()
  })

  it('comes over one when a range is answered with the whole blob', async (t) => {
    const setting = await setUp(t)
    const { upstream, digest } = setting
    upstream.fault(digest, { times: 2 })
    upstream.fault(digest, { ignoreRange: true })
    await getWhole(setting)
  })

  it('comes over one when the registry says that it was asked too often', async (t) => {
    const setting = await setUp(t)
    const { upstream, digest } = setting
    upstream.fault(digest, { times: 2 })
    upstream.fault(digest, { status: 429, headers: { 'retry-after': '1' }, times: 1 })
    await getWhole(setting)
    assert.equal(upstream.bytesSent(digest), BYTES.length)
  })

  it('comes over one when the registry changes its ETag in the middle', async (t) => {
    const setting = await setUp(t)
    const { upstream, digest } = setting
    upstream.fault(digest, { times: 3 })
    upstream.fault(digest, { headers: { etag: '"another"' } })
    await getWhole(setting)
  })

  it('is stored after all when a range has other bytes, and no client gets it whole before', async (t) => {
    const setting = await setUp(t)
    const { upstream, running, digest } = setting
    upstream.fault(digest, { times: 2 })
    upstream.fault(digest, { corruptAt: 20 * MIB, times: 2 })
    const first = await running.getBlob(digest)
    assert.ok(!first.isComplete || first.body.equals(BYTES))
    await getWhole(setting)
  })

  it('comes with no more than maxConnections at a time', async (t) => {
    const setting = await setUp(t, { maxConnections: 2 })
    await getWhole(setting)
    const { requests } = setting.upstream
    const connections = new Set(requests.map(({ connection }) => connection))
    assert.equal(connections.size, 2)
    assert.equal(setting.upstream.bytesSent(setting.digest), BYTES.length)
  })

  it('comes when the disk has no room for it', async (t) => {
    const data = await smallDisk(t, 48 * MIB)
    if (data === undefined) return
    const setting = await setUp(t, {}, { data })
    await getWhole(setting)
  })
})
