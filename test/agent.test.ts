import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { Server } from 'node:net'
import { describe, it } from 'node:test'
import { createAgent } from '../src/agent.ts'
import { subscribe } from '../src/observe/events.ts'
import { addCleanup } from '../testkit/cleanup.ts'
import { untilFlight } from '../testkit/flight-status.ts'
import { sha256 } from '../testkit/registries/faulty/content.ts'
import { MIB, readAnswer, startAgent, startUpstream } from './agent/running-agent.ts'
import { folder } from './store/folder.ts'

const ANY_PORT = { host: '127.0.0.1', port: 0 }

describe('an agent that is restarted on its folder', () => {
  it('serves what is stored while upstream is silent', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    const before = await startAgent(t, { upstream, data })
    const { manifest, layers } = upstream.addImage('app', 'v1', [randomBytes(MIB)])
    assert.equal((await before.get('app/manifests/v1')).status, 200)
    for (const layer of layers) assert.equal((await before.getBlob(layer)).status, 200)
    await before.stop()
    const after = await startAgent(t, { upstream, data })
    upstream.fault('/', { silent: true })
    for (const path of [`app/manifests/${manifest}`, ...layers.map((layer) => `app/blobs/${layer}`)]) {
      const { status, headers } = await after.get(path)
      assert.equal(status, 200)
      assert.equal(headers['cache-status'], 'leat; hit')
    }
  })

  it('continues an interrupted flight with the bytes that it has', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    const before = await startAgent(t, { upstream, data })
    const digest = upstream.addBlob(randomBytes(6 * MIB))
    upstream.fault(digest, { stallAt: 4 * MIB, times: 1 })
    const pull = before.getBlob(digest)
    await untilFlight(before.agent, digest, ({ position }) => position === 4 * MIB)
    await before.stop({ drainMs: 0 })
    assert.equal((await pull).isComplete, false)
    upstream.release()
    const after = await startAgent(t, { upstream, data })
    assert.equal(sha256((await after.getBlob(digest)).body), digest)
    assert.equal(upstream.bytesSent(digest), 6 * MIB)
  })

  it('gives up the bytes that it has when the blob turns out to be wrong, and blames the source', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    const before = await startAgent(t, { upstream, data })
    const digest = upstream.addBlob(randomBytes(12 * MIB))
    upstream.fault(digest, { stallAt: 6 * MIB, times: 1 })
    const pull = before.getBlob(digest)
    await untilFlight(before.agent, digest, ({ position }) => position === 6 * MIB)
    await before.stop({ drainMs: 0 })
    await pull
    upstream.release()
    const blamed: string[] = []
    const errors: (Error | undefined)[] = []
    addCleanup(
      t,
      subscribe('verify.failed', ({ source }) => blamed.push(source)),
    )
    addCleanup(
      t,
      subscribe('flight.ended', ({ error }) => errors.push(error)),
    )
    upstream.fault(digest, { corruptAt: 9 * MIB, times: 1 })
    const after = await startAgent(t, { upstream, data })
    // On a slow machine the wrong bytes are found before the status line has left.
    const isComplete = await after.getBlob(digest).then(
      (answer) => answer.isComplete,
      () => false,
    )
    assert.equal(isComplete, false, 'the client was following the wrong bytes')
    while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(errors, [undefined])
    assert.deepEqual(blamed, [upstream.host])
    const ranges = upstream.requests
      .filter(({ path }) => path.includes(digest))
      .map(({ headers }) => headers.range)
    assert.deepEqual([ranges[0], ranges[2]], [undefined, undefined], 'the last request is for all bytes')
    assert.match(String(ranges[1]), /^bytes=\d+-$/)
    assert.equal(sha256((await after.getBlob(digest)).body), digest)
  })
})

describe('an agent', () => {
  it('does not start on a folder that another agent uses', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    await startAgent(t, { upstream, data })
    const second = createAgent({ data, listen: ANY_PORT })
    await assert.rejects(second.start(), /another|running|in use|locked/i)
  })

  it('gives no address before it has started', async (t) => {
    const agent = createAgent({ data: await folder(t), listen: ANY_PORT })
    assert.throws(() => agent.addresses, /before it has started/)
    assert.deepEqual(agent.warnings, [])
  })

  it('that cannot start leaves its folder free for another one', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    const running = await startAgent(t, { upstream })
    const { port } = running.agent.addresses.registry
    const failing = createAgent({ data, listen: { host: '127.0.0.1', port } })
    await assert.rejects(failing.start(), { code: 'EADDRINUSE' })
    await startAgent(t, { upstream, data })
    assert.ok((await readdir(data)).includes('index'))
  })

  for (const [servers, moment] of [
    [0, 'as soon as it starts'],
    [1, 'while its control socket begins to listen'],
    [2, 'while its admin server begins to listen'],
    [3, 'while its registry server begins to listen'],
  ] as const) {
    it(`that is stopped ${moment} leaves nothing open`, async (t) => {
      const data = await folder(t)
      const agent = createAgent({ data, listen: ANY_PORT, admin: ANY_PORT })
      const listening: Server[] = []
      let stopping: Promise<void> | undefined
      const { listen } = Server.prototype
      t.mock.method(Server.prototype, 'listen', function (this: Server, ...given: Parameters<typeof listen>) {
        listening.push(this)
        if (listening.length === servers) stopping = agent.stop({ drainMs: 0 })
        return listen.apply(this, given)
      })
      const starting = agent.start()
      if (servers === 0) stopping = agent.stop({ drainMs: 0 })
      await assert.rejects(starting, /was stopped before it had started/)
      await stopping
      assert.equal(listening.length, servers)
      assert.ok(listening.every((server) => !server.listening))
      t.mock.restoreAll()
      const next = createAgent({ data, listen: ANY_PORT })
      await next.start()
      await next.stop({ drainMs: 0 })
    })
  }

  it('lets a body under way end before it stops', async (t) => {
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream })
    const digest = upstream.addBlob(randomBytes(8 * MIB))
    await running.getBlob(digest)
    const response = await running.requestBlob(digest)
    const stopping = running.agent.stop({ drainMs: 60_000 })
    assert.equal(sha256((await readAnswer(response)).body), digest)
    await stopping
  })
})
