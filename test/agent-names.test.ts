import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { type Agent, createAgent } from '../src/index.ts'
import type { Digest } from '../src/oci/digest.ts'
import {
  type FaultyUpstream,
  type ImageAdded,
  sha256,
  startFaultyUpstream,
} from '../testkit/registries/faulty-upstream.ts'

/** A digest that one repository has, asked for under the name of another. */

const MIB = 1024 * 1024
let upstream: FaultyUpstream
let data: string
let agent: Agent
let secret: ImageAdded
let layer: Buffer

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'leat-names-'))
  agent = await startAgent()
  layer = randomBytes(2 * MIB)
  secret = upstream.addImage('team/secret', 'v1', [layer])
  upstream.keepIn('team/secret', secret.config, ...secret.layers)
})

afterEach(async () => {
  upstream.release()
  upstream.heal()
  await agent.stop({ drainMs: 0 })
  await rm(data, { recursive: true })
})

async function startAgent(): Promise<Agent> {
  const made = createAgent({
    data,
    listen: { host: '127.0.0.1', port: 0 },
    // No source is given up for a test that is slow.
    patience: { progressTimeoutMs: 60_000, sizeTimeoutMs: 60_000, retryPauseMs: 5 },
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
  })
  await made.start()
  return made
}

interface Got {
  readonly status: number
  readonly body: Buffer
}

function get(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Got> {
  const { port } = agent.addresses.registry
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', port, path: `/v2/up.test/${path}`, method, headers },
      async (response) => {
        const parts: Buffer[] = []
        for await (const part of response) parts.push(part)
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) })
      },
    )
    asking.on('error', reject)
    asking.end()
  })
}

async function pullSecret(): Promise<void> {
  assert.equal((await get('team/secret/manifests/v1')).status, 200)
  for (const digest of [secret.config, ...secret.layers]) {
    assert.equal((await get(`team/secret/blobs/${digest}`)).status, 200)
  }
}

/** Every way in which it can be asked for. */
function waysTo(what: 'blobs' | 'manifests', digest: Digest): [string, string, Record<string, string>][] {
  const path = `library/alpine/${what}/${digest}`
  return [
    [path, 'GET', {}],
    [path, 'HEAD', {}],
    [path, 'GET', { range: 'bytes=0-99' }],
    [path, 'GET', { range: `bytes=${100 * MIB}-` }],
    [path, 'HEAD', { range: 'bytes=0-99' }],
    [path, 'GET', { 'if-none-match': `"${digest}"` }],
    [path, 'HEAD', { 'if-none-match': `"${digest}"` }],
    [path, 'GET', { 'if-none-match': '*' }],
  ]
}

async function assertHidden(status: number): Promise<void> {
  const all = [
    ...waysTo('manifests', secret.manifest),
    ...[secret.config, ...secret.layers].flatMap((digest) => waysTo('blobs', digest)),
  ]
  for (const [path, method, headers] of all) {
    const got = await get(path, method, headers)
    assert.equal(got.status, status, `${method} ${path} ${JSON.stringify(headers)}`)
    // Not a byte of it, nor how many there are.
    const said = got.body.toString()
    assert.ok(said === '' || (JSON.parse(said) as { errors?: unknown }).errors !== undefined, said)
  }
}

describe('what is cached of one repository', () => {
  it('is 404 under the name of another, however it is asked for, and upstream is asked once for each', async () => {
    await pullSecret()
    const before = upstream.requests.length
    await assertHidden(404)
    const asked = upstream.requests.slice(before)
    assert.deepEqual(
      asked.map(({ method }) => method),
      ['HEAD', 'HEAD', 'HEAD'],
    )
    assert.equal((await get(`team/secret/blobs/${secret.layers[0]}`)).status, 200)
  })

  it('is the same after a restart', async () => {
    await pullSecret()
    await agent.stop()
    agent = await startAgent()
    await assertHidden(404)
  })

  it('is served under its own name with upstream off, and is 502 under another', async () => {
    await pullSecret()
    await agent.stop()
    agent = await startAgent()
    upstream.fault(secret.manifest, { status: 503 })
    for (const digest of [secret.config, ...secret.layers]) upstream.fault(digest, { status: 503 })
    for (const path of [
      'team/secret/manifests/v1',
      `team/secret/manifests/${secret.manifest}`,
      ...[secret.config, ...secret.layers].map((digest) => `team/secret/blobs/${digest}`),
    ]) {
      assert.equal((await get(path)).status, 200, path)
    }
    for (const path of [`manifests/${secret.manifest}`, `blobs/${secret.layers[0]}`]) {
      for (const method of ['GET', 'HEAD']) {
        const got = await get(`library/alpine/${path}`, method)
        assert.ok([502, 503].includes(got.status), `${got.status}`)
      }
    }
  })

  it('is not given to another name while it comes', async () => {
    const [digest] = secret.layers
    assert.ok(digest !== undefined)
    upstream.fault(digest, { stallAt: MIB, times: 1, method: 'GET' })
    const pulled = get(`team/secret/blobs/${digest}`)
    await upstream.stalled(digest)
    for (const [path, method, headers] of waysTo('blobs', digest)) {
      assert.equal((await get(path, method, headers)).status, 404)
    }
    upstream.release()
    assert.equal(sha256((await pulled).body), digest)
    assert.equal((await get(`library/alpine/blobs/${digest}`)).status, 404)
  })

  it('costs another image that has it too neither a transfer nor a question', async () => {
    await pullSecret()
    const shared = upstream.addImage('library/alpine', 'v2', [layer, randomBytes(100)])
    upstream.keepIn('library/alpine', ...shared.layers)
    assert.equal(shared.layers[0], secret.layers[0])
    assert.equal((await get('library/alpine/manifests/v2')).status, 200)
    const before = upstream.requests.length
    for (const method of ['HEAD', 'GET']) {
      assert.equal((await get(`library/alpine/blobs/${shared.layers[0]}`, method)).status, 200)
    }
    assert.equal(upstream.requests.length, before)
    assert.equal((await get(`library/alpine/manifests/${secret.manifest}`)).status, 404)
  })
})
