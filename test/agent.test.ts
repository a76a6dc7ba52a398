import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { FlightPolicy } from '../src/fetch/flight/flight-policy.ts'
import { type Agent, type AgentOptions, createAgent } from '../src/index.ts'
import { subscribe } from '../src/observe/events.ts'
import type { Digest } from '../src/oci/digest.ts'
import { untilFlight } from '../testkit/flight-status.ts'
import { type FaultyUpstream, sha256, startFaultyUpstream } from '../testkit/registries/faulty-upstream.ts'

/** One agent between real sockets and real files, and an upstream that does what a registry should never do. */

interface Got {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The body ended as declared. */
  readonly complete: boolean
}

const MIB = 1024 * 1024
/** No source is given up for a test that is slow. */
const PATIENCE = {
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 5,
} satisfies Partial<FlightPolicy>
let upstream: FaultyUpstream
let data: string
let agent: Agent
const http = new HttpAgent({ keepAlive: true })

before(async () => {
  upstream = await startFaultyUpstream()
})

after(async () => {
  http.destroy()
  await upstream.close()
})

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'leat-agent-'))
  agent = await startAgent()
})

afterEach(async () => {
  upstream.release()
  upstream.heal()
  upstream.requireNothing()
  await agent.stop({ drainMs: 0 })
  await rm(data, { recursive: true })
})

async function bytesBelow(path: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    const stats = entry.isFile()
      ? await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
      : undefined
    bytes += stats?.size ?? 0
  }
  return bytes
}

async function startAgent(more: Partial<AgentOptions> = {}): Promise<Agent> {
  const made = createAgent({
    data,
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    patience: PATIENCE,
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
    ...more,
  })
  await made.start()
  return made
}

function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const { port } = agent.addresses.registry
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', port, path: `/v2/up.test/${path}`, agent: http, ...options },
      resolve,
    )
    asking.on('error', reject)
    asking.end()
  })
}

async function get(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Got> {
  const response = await ask(path, options)
  const parts: Buffer[] = []
  try {
    for await (const part of response) parts.push(part)
  } catch {
    // Cut off: `complete` says so.
  }
  const { statusCode = 0, headers, complete } = response
  return { status: statusCode, headers, body: Buffer.concat(parts), complete }
}

function blob(digest: Digest): string {
  return `app/blobs/${digest}`
}

describe('with a fault upstream, a pull', () => {
  const bytes = randomBytes(3 * MIB)

  it('goes on at the byte at which the connection died', async () => {
    const digest = upstream.addBlob(bytes)
    upstream.fault(digest, { dieAt: 2 * MIB, times: 1 })
    const got = await get(blob(digest))
    assert.ok(got.body.equals(bytes))
    const ranges = upstream.requests
      .filter(({ path }) => path.includes(digest))
      .map(({ headers }) => headers.range)
    assert.deepEqual(ranges, [undefined, `bytes=${2 * MIB}-`])
  })

  it('goes on after a reset', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 1))
    upstream.fault(digest, { dieAt: MIB, how: 'rst', times: 1 })
    const got = await get(blob(digest))
    assert.equal(sha256(got.body), digest)
  })

  it('goes on where it stalled', async () => {
    await agent.stop()
    agent = await startAgent({ patience: { ...PATIENCE, progressTimeoutMs: 300 } })
    const digest = upstream.addBlob(randomBytes(3 * MIB - 2))
    upstream.fault(digest, { stallAt: MIB, times: 1 })
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })

  it('ends short, with a FIN, when a byte is wrong and nobody has the right one', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 3))
    upstream.fault(digest, { corruptAt: 1_000_000 })
    const got = await get(blob(digest))
    assert.equal(got.complete, false)
    assert.ok(got.body.length < 3 * MIB - 3)
    assert.deepEqual(await readdir(join(data, 'blobs', 'sha256')).catch(() => []), [])
  })

  it('of a small blob with a wrong byte is refused whole', async () => {
    const digest = upstream.addBlob(randomBytes(1000))
    upstream.fault(digest, { corruptAt: 10 })
    const got = await get(blob(digest))
    assert.equal(got.status, 502)
    assert.match(got.body.toString(), /"errors"/)
  })

  it('is right after an upstream that ignored the range it was asked for', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 4))
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    upstream.fault(digest, { ignoreRange: true })
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })

  it('does not take the wrong part for the right one', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 5))
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    upstream.fault(digest, { startLie: 10, times: 1 })
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })

  for (const lengthLie of [-1000, 1000]) {
    it(`never completes when the length is ${lengthLie < 0 ? 'too short' : 'too long'}`, async () => {
      const digest = upstream.addBlob(randomBytes(2 * MIB + lengthLie))
      upstream.fault(digest, { lengthLie })
      const got = await get(blob(digest))
      assert.ok(!got.complete || got.status >= 500, `${got.status}, complete: ${got.complete}`)
    })
  }

  it('takes content without a declared length', async () => {
    const digest = upstream.addBlob(randomBytes(2 * MIB))
    upstream.fault(digest, { chunked: true })
    const got = await get(blob(digest))
    assert.equal(got.headers['content-length'], String(2 * MIB))
    assert.equal(sha256(got.body), digest)
  })

  it('goes on through the registry when the redirect has expired in the middle', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 6))
    upstream.fault(digest, { redirect: { uses: 1 }, dieAt: MIB, times: 1 })
    upstream.fault(digest, { redirect: { uses: 1 } })
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })

  it('gets a new token when the old one runs out in the middle', async () => {
    const digest = upstream.addBlob(randomBytes(3 * MIB - 7))
    upstream.requireBearer({ uses: 1 })
    upstream.fault(digest, { dieAt: MIB, times: 1 })
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })

  it('of what does not exist is 404, of what cannot be had is 502 or 503', async () => {
    assert.equal((await get(blob(sha256('nowhere')))).status, 404)
    const digest = upstream.addBlob(randomBytes(500))
    upstream.fault(digest, { status: 500 })
    assert.ok([502, 503].includes((await get(blob(digest))).status))
    const limited = upstream.addBlob(randomBytes(501))
    // A longer rest would be kept to, and the tests that follow ask the same upstream.
    upstream.fault(limited, { status: 429, headers: { 'retry-after': '1' } })
    assert.equal((await get(blob(limited))).status, 503)
    upstream.requireBasic('user', 'password')
    assert.equal((await get(blob(upstream.addBlob(randomBytes(502))))).status, 404)
  })

  it('fails alike for everyone who waits', async () => {
    const digest = upstream.addBlob(randomBytes(5000))
    upstream.fault(digest, { silent: true, times: 1 })
    upstream.fault(digest, { status: 500 })
    const asked = Array.from({ length: 8 }, () => get(blob(digest)))
    await untilFlight(agent, digest, ({ waiters }) => waiters === 8)
    upstream.release()
    const all = await Promise.all(asked)
    assert.equal(new Set(all.map(({ status, body }) => `${status} ${body}`)).size, 1)
  })
})

describe('of many clients on one cold blob', () => {
  it('each gets it whole, and upstream sends it once', async () => {
    const digest = upstream.addBlob(randomBytes(4 * MIB))
    const all = await Promise.all(Array.from({ length: 20 }, () => get(blob(digest))))
    for (const { body } of all) assert.equal(sha256(body), digest)
    assert.equal(upstream.bytesSent(digest), 4 * MIB)
  })

  it('the first may leave and the others lose nothing', async () => {
    const digest = upstream.addBlob(randomBytes(4 * MIB))
    upstream.fault(digest, { stallAt: 2 * MIB, times: 1 })
    const first = await ask(blob(digest))
    const second = get(blob(digest))
    await once(first, 'readable')
    first.destroy()
    upstream.release()
    assert.equal(sha256((await second).body), digest)
    assert.ok(upstream.bytesSent(digest) <= 4 * MIB)
  })

  it('one that does not read keeps nobody waiting', async () => {
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const slow = await ask(blob(digest))
    slow.pause()
    assert.equal(sha256((await get(blob(digest))).body), digest)
    slow.destroy()
  })

  it('32 may ask for open-ended ranges, take a piece and leave', async () => {
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    const piece = 256 * 1024
    await Promise.all(
      Array.from({ length: 32 }, async (_, n) => {
        const from = n * piece
        const response = await ask(blob(digest), { headers: { range: `bytes=${from}-` } })
        assert.equal(response.statusCode, 206)
        assert.equal(response.headers['content-range'], `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
        const parts: Buffer[] = []
        let length = 0
        for await (const part of response) {
          parts.push(part)
          length += part.length
          if (length >= piece) break
        }
        assert.ok(
          Buffer.concat(parts)
            .subarray(0, piece)
            .equals(bytes.subarray(from, from + piece)),
        )
      }),
    )
    assert.equal(upstream.bytesSent(digest), bytes.length)
    assert.equal(sha256((await get(blob(digest))).body), digest)
  })
})

describe('an agent with a limit', () => {
  it('keeps within it and serves what was used last, while everything that is pulled arrives whole', async () => {
    await agent.stop()
    const limit = 4 * MIB
    const evicted: Digest[] = []
    const landed = new Set<Digest>()
    const ends = [
      subscribe('store.evicted', ({ digest }) => evicted.push(digest)),
      subscribe('flight.ended', ({ digest }) => landed.add(digest)),
    ]
    agent = await startAgent({ maxBytes: { bytes: limit } })
    try {
      const digests = Array.from({ length: 12 }, (_, n) => upstream.addBlob(randomBytes(MIB - 50 - n)))
      for (const digest of digests) {
        assert.equal(sha256((await get(blob(digest))).body), digest)
        while (!landed.has(digest)) await new Promise((resolve) => setImmediate(resolve))
        assert.ok((await bytesBelow(join(data, 'blobs'))) <= limit)
      }
      const last = digests.at(-1)
      assert.ok(last && !evicted.includes(last) && evicted.length >= 8)
      assert.deepEqual(evicted, digests.slice(0, evicted.length))
      assert.equal((await get(blob(last))).headers['cache-status'], 'leat; hit')
      assert.equal(sha256((await get(blob(digests[0] ?? last))).body), digests[0])
      const larger = upstream.addBlob(randomBytes(limit + 1))
      assert.equal(sha256((await get(blob(larger))).body), larger)
      assert.ok((await bytesBelow(join(data, 'blobs'))) <= limit)
      const { admin } = agent.addresses
      const status = await fetch(`http://127.0.0.1:${admin?.port}/api/v1/status`)
      const { store } = (await status.json()) as { store: { limitBytes: number; evictedBytes: number } }
      assert.equal(store.limitBytes, limit)
      assert.ok(store.evictedBytes > 8 * (MIB - 100))
    } finally {
      for (const end of ends) end()
    }
  })
})

describe('an agent', () => {
  it('answers what it has from its files after a restart, with upstream gone', async () => {
    const { manifest, layers } = upstream.addImage('app', 'v1', [randomBytes(MIB)])
    assert.equal((await get('app/manifests/v1')).status, 200)
    for (const layer of layers) assert.equal((await get(blob(layer))).status, 200)
    await agent.stop()
    agent = await startAgent()
    upstream.fault('/', { silent: true })
    for (const path of [`app/manifests/${manifest}`, ...layers.map(blob)]) {
      const got = await get(path)
      assert.equal(got.status, 200)
      assert.equal(got.headers['cache-status'], 'leat; hit')
    }
  })

  it('goes on after a restart with the bytes it had', async () => {
    const digest = upstream.addBlob(randomBytes(6 * MIB))
    upstream.fault(digest, { stallAt: 4 * MIB, times: 1 })
    const pulling = get(blob(digest))
    await untilFlight(agent, digest, ({ position }) => position === 4 * MIB)
    await agent.stop({ drainMs: 0 })
    assert.equal((await pulling).complete, false)
    upstream.release()
    agent = await startAgent()
    assert.equal(sha256((await get(blob(digest))).body), digest)
    assert.equal(upstream.bytesSent(digest), 6 * MIB)
  })

  it('refuses a folder that another agent has', async () => {
    const second = createAgent({ data, listen: { host: '127.0.0.1', port: 0 } })
    await assert.rejects(second.start(), /another|running|in use|locked/i)
  })

  it('starts again in the same program after it has stopped', async () => {
    await agent.stop()
    agent = await startAgent()
    assert.equal((await get(blob(sha256('nothing')))).status, 404)
  })

  it('lets a body under way end before it stops', async () => {
    const digest = upstream.addBlob(randomBytes(8 * MIB))
    await get(blob(digest))
    const response = await ask(blob(digest))
    const stopping = agent.stop({ drainMs: 60_000 })
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part)
    assert.equal(sha256(Buffer.concat(parts)), digest)
    await stopping
  })
})
