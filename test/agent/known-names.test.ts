import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import { type ImageAdded, sha256 } from '../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { folder } from '../store/folder.ts'
import { MIB, type RunningAgent, startAgent, startUpstream } from './running-agent.ts'

interface Setting {
  readonly upstream: FaultyUpstream
  readonly data: string
  readonly running: RunningAgent
  /** An image that upstream has only in `team/secret`. */
  readonly secret: ImageAdded
  /** The bytes of its first layer. */
  readonly layer: Buffer
}

async function setUp(t: TestContext): Promise<Setting> {
  const upstream = await startUpstream(t)
  const data = await folder(t)
  const running = await startAgent(t, { upstream, data })
  const layer = randomBytes(2 * MIB)
  const secret = upstream.addImage('team/secret', 'v1', [layer])
  upstream.keepIn('team/secret', secret.config, ...secret.layers)
  return { upstream, data, running, secret, layer }
}

async function pullSecret({ running, secret }: Setting): Promise<void> {
  assert.equal((await running.get('team/secret/manifests/v1')).status, 200)
  for (const digest of [secret.config, ...secret.layers]) {
    assert.equal((await running.get(`team/secret/blobs/${digest}`)).status, 200)
  }
}

interface Attempt {
  readonly path: string
  readonly method: string
  readonly headers: Record<string, string>
}

/** Lists every way to ask for a digest in `library/alpine`. */
function attemptsFor(what: 'blobs' | 'manifests', digest: Digest): Attempt[] {
  const path = `library/alpine/${what}/${digest}`
  return [
    { path, method: 'GET', headers: {} },
    { path, method: 'HEAD', headers: {} },
    { path, method: 'GET', headers: { range: 'bytes=0-99' } },
    { path, method: 'GET', headers: { range: `bytes=${100 * MIB}-` } },
    { path, method: 'HEAD', headers: { range: 'bytes=0-99' } },
    { path, method: 'GET', headers: { 'if-none-match': `"${digest}"` } },
    { path, method: 'HEAD', headers: { 'if-none-match': `"${digest}"` } },
    { path, method: 'GET', headers: { 'if-none-match': '*' } },
  ]
}

async function assertHidden(running: RunningAgent, { manifest, config, layers }: ImageAdded): Promise<void> {
  const attempts = [
    ...attemptsFor('manifests', manifest),
    ...[config, ...layers].flatMap((digest) => attemptsFor('blobs', digest)),
  ]
  for (const { path, method, headers } of attempts) {
    const { status, body } = await running.get(path, { method, headers })
    assert.equal(status, 404, `${method} ${path} ${JSON.stringify(headers)}`)
    // The answer has none of the content's bytes, and does not say how many there are.
    const text = body.toString()
    assert.ok(text === '' || (JSON.parse(text) as { errors?: unknown }).errors !== undefined, text)
  }
}

describe('content that one repository has', () => {
  it('is 404 in another one, whatever the request, and costs upstream one request for each digest', async (t) => {
    const setting = await setUp(t)
    const { upstream, running, secret } = setting
    await pullSecret(setting)
    const before = upstream.requests.length
    await assertHidden(running, secret)
    assert.deepEqual(
      upstream.requests.slice(before).map(({ method }) => method),
      ['HEAD', 'HEAD', 'HEAD'],
    )
    assert.equal((await running.get(`team/secret/blobs/${secret.layers[0]}`)).status, 200)
  })

  it('is 404 in another one after a restart, too', async (t) => {
    const setting = await setUp(t)
    const { upstream, data, secret } = setting
    await pullSecret(setting)
    await setting.running.stop()
    await assertHidden(await startAgent(t, { upstream, data }), secret)
  })

  it('is served while upstream fails, and is 502 or 503 in another one', async (t) => {
    const setting = await setUp(t)
    const { upstream, data, secret } = setting
    await pullSecret(setting)
    await setting.running.stop()
    const running = await startAgent(t, { upstream, data })
    upstream.fault(secret.manifest, { status: 503 })
    for (const digest of [secret.config, ...secret.layers]) upstream.fault(digest, { status: 503 })
    for (const path of [
      'team/secret/manifests/v1',
      `team/secret/manifests/${secret.manifest}`,
      ...[secret.config, ...secret.layers].map((digest) => `team/secret/blobs/${digest}`),
    ]) {
      assert.equal((await running.get(path)).status, 200, path)
    }
    for (const path of [`manifests/${secret.manifest}`, `blobs/${secret.layers[0]}`]) {
      for (const method of ['GET', 'HEAD']) {
        const { status } = await running.get(`library/alpine/${path}`, { method })
        assert.ok([502, 503].includes(status), `${status}`)
      }
    }
  })

  it('is not given to another one while it is arriving', async (t) => {
    const { upstream, running, secret } = await setUp(t)
    const [digest] = secret.layers
    assert.ok(digest !== undefined)
    upstream.fault(digest, { stallAt: MIB, times: 1, method: 'GET' })
    const pull = running.get(`team/secret/blobs/${digest}`)
    await upstream.stalled(digest)
    for (const { path, method, headers } of attemptsFor('blobs', digest)) {
      assert.equal((await running.get(path, { method, headers })).status, 404)
    }
    upstream.release()
    assert.equal(sha256((await pull).body), digest)
    assert.equal((await running.get(`library/alpine/blobs/${digest}`)).status, 404)
  })

  it('costs another image that has it no request to upstream', async (t) => {
    const setting = await setUp(t)
    const { upstream, running, secret, layer } = setting
    await pullSecret(setting)
    const shared = upstream.addImage('library/alpine', 'v2', [layer, randomBytes(100)])
    upstream.keepIn('library/alpine', ...shared.layers)
    assert.equal(shared.layers[0], secret.layers[0])
    assert.equal((await running.get('library/alpine/manifests/v2')).status, 200)
    const before = upstream.requests.length
    for (const method of ['HEAD', 'GET']) {
      const { status } = await running.get(`library/alpine/blobs/${shared.layers[0]}`, { method })
      assert.equal(status, 200)
    }
    assert.equal(upstream.requests.length, before)
    assert.equal((await running.get(`library/alpine/manifests/${secret.manifest}`)).status, 404)
  })
})
