import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { after, afterEach, before, describe, it, type TestContext } from 'node:test'
import type { FlightPolicy } from '../src/fetch/flight/flight-policy.ts'
import { type Agent, type AgentOptions, createAgent } from '../src/index.ts'
import { type Events, subscribe } from '../src/observe/events.ts'
import type { Digest } from '../src/oci/digest.ts'
import { afterwards } from '../testkit/cleanup.ts'
import { Clock } from '../testkit/clock.ts'
import { underWay } from '../testkit/flight-status.ts'
import { type FaultyUpstream, sha256, startFaultyUpstream } from '../testkit/registries/faulty-upstream.ts'
import { folder, smallDisk } from './store/folder.ts'

/** One agent with less room than it is asked for, between real sockets and real files. */

interface Got {
  readonly status: number
  readonly body: Buffer
  /** The body ended as declared. */
  readonly complete: boolean
}

const MIB = 1024 * 1024
const LIMIT = { bytes: 2 * MIB }
/** No source and no client is given up for a test that is slow. */
const PATIENCE = {
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 5,
} satisfies Partial<FlightPolicy>
const http = new HttpAgent({ keepAlive: true })
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(async () => {
  http.destroy()
  await upstream.close()
})

afterEach(() => {
  upstream.release()
  upstream.heal()
})

async function startAgent(t: TestContext, data: string, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const agent = createAgent({
    data,
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    patience: PATIENCE,
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
    ...options,
  })
  await agent.start()
  afterwards(t, () => agent.stop({ drainMs: 0 }))
  return agent
}

function ask(agent: Agent, digest: Digest, range?: string): Promise<IncomingMessage> {
  const { port } = agent.addresses.registry
  return new Promise((resolve, reject) => {
    const headers = range === undefined ? {} : { range }
    const path = `/v2/up.test/app/blobs/${digest}`
    const asking = request({ host: '127.0.0.1', port, path, agent: http, headers }, resolve)
    asking.on('error', reject)
    asking.end()
  })
}

async function take(response: IncomingMessage): Promise<Got> {
  const parts: Buffer[] = []
  try {
    for await (const part of response) parts.push(part)
  } catch {
    // Cut off: `complete` says so.
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts), complete: response.complete }
}

async function get(agent: Agent, digest: Digest, range?: string): Promise<Got> {
  return take(await ask(agent, digest, range))
}

function ended(digest: Digest): Promise<Events['flight.ended']> {
  return new Promise((resolve) => {
    const stop = subscribe('flight.ended', (fact) => {
      if (fact.digest !== digest) return
      stop()
      resolve(fact)
    })
  })
}

async function filesIn(data: string): Promise<string[]> {
  const found: string[] = []
  for (const place of ['partial', 'blobs', 'quarantine']) {
    const entries = await readdir(join(data, place), { recursive: true, withFileTypes: true })
    found.push(...entries.filter((entry) => entry.isFile()).map((entry) => `${place}/${entry.name}`))
  }
  return found
}

describe('a blob larger than the limit', () => {
  for (const clients of [1, 20]) {
    it(`reaches ${clients} ${clients === 1 ? 'client' : 'clients'} whole, and upstream sends it once`, async (t) => {
      const data = await folder(t)
      const agent = await startAgent(t, data, { maxBytes: LIMIT })
      const digest = upstream.addBlob(randomBytes(10 * MIB + clients))
      const end = ended(digest)
      upstream.fault(digest, { stallAt: 0, times: 1 })
      const pulls = Array.from({ length: clients }, async () => {
        const { status, body } = await get(agent, digest)
        return status === 200 ? sha256(body) : status
      })
      await underWay(agent, digest, ({ waiters }) => waiters === clients)
      upstream.release()
      for (const found of await Promise.all(pulls)) assert.equal(found, digest)
      assert.equal(upstream.bytesSent(digest), 10 * MIB + clients)
      const { isStored, passThroughReason, error } = await end
      assert.deepEqual([isStored, error], [false, undefined])
      assert.match(String(passThroughReason), /room/)
      assert.deepEqual(await filesIn(data), [])
    })
  }

  it('leaves what is stored where it is', async (t) => {
    const data = await folder(t)
    const agent = await startAgent(t, data, { maxBytes: LIMIT })
    const small = upstream.addBlob(randomBytes(MIB))
    assert.equal(sha256((await get(agent, small)).body), small)
    const large = upstream.addBlob(randomBytes(12 * MIB))
    assert.equal(sha256((await get(agent, large)).body), large)
    assert.equal(sha256((await get(agent, small)).body), small)
    assert.equal(upstream.bytesSent(small), MIB)
  })

  it('does not wait for a client that stops reading', async (t) => {
    const clock = new Clock(t, { turnMs: 1 })
    const agent = await startAgent(t, await folder(t), {
      maxBytes: LIMIT,
      patience: { ...PATIENCE, progressTimeoutMs: 300 },
    })
    const digest = upstream.addBlob(randomBytes(32 * MIB))
    const stuck = await ask(agent, digest)
    stuck.on('error', () => {})
    stuck.pause()
    const all = await clock.until(Promise.all([get(agent, digest), get(agent, digest)]))
    for (const { body } of all) assert.equal(sha256(body), digest)
    assert.equal(upstream.bytesSent(digest), 32 * MIB)
    const cut = await take(stuck)
    assert.equal(cut.complete, false)
    await clock.until(agent.stop({ drainMs: 0 }))
  })

  it('loses nothing for the others when a client leaves, and is given up when all have', async (t) => {
    const data = await folder(t)
    const agent = await startAgent(t, data, { maxBytes: LIMIT })
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const [leaving, staying] = await Promise.all([ask(agent, digest), ask(agent, digest)])
    await once(leaving, 'readable')
    leaving.destroy()
    assert.equal(sha256((await take(staying)).body), digest)
    const other = upstream.addBlob(randomBytes(40 * MIB + 5))
    const end = ended(other)
    const only = await ask(agent, other)
    await once(only, 'readable')
    only.destroy()
    assert.match(String((await end).error), /All clients have left/)
    assert.ok(upstream.bytesSent(other) < 40 * MIB)
    assert.deepEqual(await filesIn(data), [])
  })

  it('turns away who comes when its start is gone, but gives a range that is still to come', async (t) => {
    const agent = await startAgent(t, await folder(t), { maxBytes: LIMIT })
    const bytes = randomBytes(24 * MIB + 6)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 16 * MIB, times: 1 })
    const first = get(agent, digest)
    // More than memory takes: its start has been passed on.
    await underWay(agent, digest, ({ position }) => position === 16 * MIB)
    assert.equal((await get(agent, digest)).status, 503)
    const range = get(agent, digest, `bytes=${20 * MIB}-${21 * MIB - 1}`)
    await underWay(agent, digest, ({ waiters }) => waiters === 2)
    upstream.release()
    assert.ok((await range).body.equals(bytes.subarray(20 * MIB, 21 * MIB)))
    assert.equal(sha256((await first).body), digest)
    assert.equal(upstream.count(digest), 1)
  })

  it('goes on where a source broke off', async (t) => {
    const agent = await startAgent(t, await folder(t), { maxBytes: LIMIT })
    const digest = upstream.addBlob(randomBytes(16 * MIB + 7))
    upstream.fault(digest, { dieAt: 12 * MIB, times: 1 })
    assert.equal(sha256((await get(agent, digest)).body), digest)
    assert.equal(upstream.bytesSent(digest), 16 * MIB + 7)
  })

  it('with a wrong byte ends short, and leaves nothing', async (t) => {
    const data = await folder(t)
    const agent = await startAgent(t, data, { maxBytes: LIMIT })
    const digest = upstream.addBlob(randomBytes(12 * MIB + 8))
    upstream.fault(digest, { corruptAt: 1_000_000 })
    const all = await Promise.all([get(agent, digest), get(agent, digest)])
    for (const { complete } of all) assert.equal(complete, false)
    assert.deepEqual(await filesIn(data), [])
  })

  it('without a declared length is refused in time', async (t) => {
    const agent = await startAgent(t, await folder(t), { maxBytes: LIMIT })
    const digest = upstream.addBlob(randomBytes(20 * MIB))
    upstream.fault(digest, { chunked: true })
    assert.equal((await get(agent, digest)).status, 502)
  })

  it('lets the agent stop in the middle', async (t) => {
    const data = await folder(t)
    const agent = await startAgent(t, data, { maxBytes: LIMIT })
    const digest = upstream.addBlob(randomBytes(16 * MIB + 9))
    upstream.fault(digest, { stallAt: 12 * MIB })
    const pulling = get(agent, digest)
    await upstream.stalled(digest)
    await agent.stop({ drainMs: 0 })
    assert.equal((await pulling).complete, false)
    assert.deepEqual(await filesIn(data), [])
  })
})

describe('a disk that fills up in the middle of a pull', () => {
  it('is noticed by no client, gets its room back, and takes what fits afterwards', async (t) => {
    const data = await smallDisk(t, 8 * MIB)
    if (data === undefined) return
    const agent = await startAgent(t, data)
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const end = ended(digest)
    upstream.fault(digest, { stallAt: 0, times: 1 })
    const all = Array.from({ length: 8 }, async () => sha256((await get(agent, digest)).body))
    await underWay(agent, digest, ({ waiters }) => waiters === 8)
    upstream.release()
    for (const found of await Promise.all(all)) assert.equal(found, digest)
    assert.equal(upstream.bytesSent(digest), 16 * MIB)
    const { isStored, passThroughReason, error } = await end
    assert.deepEqual([isStored, error], [false, undefined])
    assert.match(String(passThroughReason), /no space left/)
    assert.deepEqual(await filesIn(data), [])
    const small = upstream.addBlob(randomBytes(MIB))
    const stored = ended(small)
    assert.equal(sha256((await get(agent, small)).body), small)
    assert.equal((await stored).isStored, true)
    upstream.fault(small, { status: 500 })
    assert.equal(sha256((await get(agent, small)).body), small)
  })
})

describe('what came before a restart', () => {
  it('is gone on with, and found out when it goes on with other bytes', async (t) => {
    const data = await folder(t)
    const bytes = randomBytes(12 * MIB)
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { stallAt: 6 * MIB, times: 1 })
    const first = await startAgent(t, data)
    const pulling = get(first, digest)
    await underWay(first, digest, ({ position }) => position === 6 * MIB)
    await first.stop({ drainMs: 0 })
    await pulling
    upstream.release()
    const blamed: string[] = []
    afterwards(
      t,
      subscribe('verify.failed', ({ source }) => blamed.push(source)),
    )
    upstream.fault(digest, { corruptAt: 9 * MIB, times: 1 })
    const second = await startAgent(t, data)
    const end = ended(digest)
    // On a slow machine the wrong bytes are found before the status line has left.
    const isComplete = await get(second, digest).then(
      ({ complete }) => complete,
      () => false,
    )
    assert.equal(isComplete, false, 'the client was following the bytes that turned out to be wrong')
    assert.equal((await end).error, undefined)
    assert.deepEqual(blamed, [upstream.host])
    const ranges = upstream.requests
      .filter(({ path }) => path.includes(digest))
      .map(({ headers }) => headers.range)
    assert.deepEqual([ranges[0], ranges[2]], [undefined, undefined], 'the last one from the start')
    assert.match(String(ranges[1]), /^bytes=\d+-$/)
    assert.equal(sha256((await get(second, digest)).body), digest)
  })
})
