import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { DEFAULT_POLICY } from '../../src/fetch/flight/flight.ts'
import { DEFAULT_FRESHNESS } from '../../src/fetch/freshness.ts'
import { Resolution } from '../../src/fetch/resolver.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { createRegistryServer } from '../../src/registry-api/server.ts'
import type { Lookup } from '../../src/upstream/options/address.ts'
import type { UpstreamOptions } from '../../src/upstream/options/options.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { nextRequestEnded, type ReceivedAnswer, requestHttp1 } from './test-server.ts'

/** What a client learns of an upstream that has failed: that it has, and nothing of how. */

const DIGEST = `sha256:${'a'.repeat(64)}`
const ABOUT = {
  manifest: 'manifests/v1',
  'manifest by digest': `manifests/${DIGEST}`,
  blob: `blobs/${DIGEST}`,
  tags: 'tags/list',
  referrers: `referrers/${DIGEST}`,
}

async function listen(t: TestContext, server: Server): Promise<string> {
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return `127.0.0.1:${address.port}`
}

/** As DNS says it of a name that does not exist. */
const unknownToAll: Lookup = (hostname, _options, callback) => {
  process.nextTick(callback, Object.assign(new Error(`${hostname} is not known`), { code: 'ENOTFOUND' }))
}

/** An agent without a disk whose registries are these. */
async function agent(
  t: TestContext,
  registries: Readonly<Record<string, { host: string; tls: boolean }>>,
  deadlines: UpstreamOptions['deadlines'] = {},
): Promise<{ port: number }> {
  const entries = Object.entries(registries).map(([namespace, { host, tls }]) => ({
    namespace,
    hosts: [host],
    tls,
  }))
  const upstreams = createUpstreams({ entries, deadlines, backoffMs: 1, lookup: unknownToAll })
  const resolver = new Resolution({
    store: new MemoryStore(),
    catalog: new MemoryCatalog(),
    registry: upstreams,
    flightPolicy: { ...DEFAULT_POLICY, backoffMs: 1 },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: 1024,
    flightLimit: 100,
  })
  const listening = { host: '127.0.0.1', port: 0 }
  const server = createRegistryServer({ resolver, listen: listening, defaultNamespace: 'docker.io' })
  t.after(async () => {
    await server.close()
    await upstreams.close()
  })
  return server.start()
}

/** All that an answer tells, but for the name by which the registry was asked for. */
function told({ status, headers, body }: ReceivedAnswer, registry: string): string {
  const { date: _, ...others } = headers
  return JSON.stringify({ status, others, body: body.toString().replaceAll(registry, 'REGISTRY') })
}

test('why an upstream cannot be reached is not told to clients, and is told to watchers', async (t) => {
  // Nobody takes a port below 1024 while the test runs.
  const closed = '127.0.0.1:1'
  const secret = await startFaultyUpstream({ tls: true })
  t.after(() => secret.close())
  const resetting = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
  const garbled = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
  const leading = createHttpServer((_, response) => {
    response.writeHead(307, { location: 'http://169.254.169.254/latest' }).end()
  })
  const registries = {
    'refuses.test': { host: closed, tls: false },
    'refused.test': { host: closed, tls: true },
    'resets0.test': { host: await listen(t, resetting), tls: false },
    'garbles.test': { host: await listen(t, garbled), tls: false },
    'nohttps.test': {
      host: await listen(
        t,
        createServer((socket) => socket.end('x')),
      ),
      tls: true,
    },
    'invalid.test': { host: secret.host, tls: true },
    'silent0.test': { host: await listen(t, createServer()), tls: false },
    'silent1.test': { host: await listen(t, createServer()), tls: true },
    'unknown.test': { host: 'no-such-host.invalid', tls: true },
    'leading.test': { host: await listen(t, leading), tls: false },
  }
  // All at once, since most of it is waiting for deadlines.
  const asking = Object.entries(ABOUT).map(async ([what, path], at) => {
    // One for each, so that no circuit opens before the last.
    const { port } = await agent(t, registries, { connectMs: 150, headerMs: 150 })
    const name = `x${at}`
    const answering = Object.keys(registries).map(async (registry) => {
      const isAbout = (repository?: Repository): boolean =>
        repository?.registry === registry && repository.name === name
      const ended = nextRequestEnded(({ repository }) => isAbout(repository))
      const got = await requestHttp1(port, `/v2/${registry}/${name}/${path}`)
      assert.equal(got.status, 502, `${what} of ${registry}`)
      assert.doesNotMatch(got.body.toString(), /127\.0|169\.254|E[A-Z]{5,}|invalid"|\d{4,5}|CERT|TLS/)
      assert.match((await ended).error ?? '', /127\.0\.0\.1|169\.254|no-such-host/, registry)
      return told(got, registry)
    })
    const answers = new Set(await Promise.all(answering))
    assert.equal(answers.size, 1, [...answers].join('\n'))
  })
  await Promise.all(asking)
})

test('a host that a client did not name is not told to it, whatever that host has said', async (t) => {
  const mirror = await startFaultyUpstream()
  t.after(() => mirror.close())
  const { port } = await agent(t, { 'r.test': { host: mirror.host, tls: false } })
  for (const status of [400, 401, 403, 404, 418, 429, 500, 503]) {
    mirror.heal()
    for (const path of Object.values(ABOUT)) mirror.fault(path, { status })
    for (const path of Object.values(ABOUT)) {
      const got = await requestHttp1(port, `/v2/r.test/x/${path}`)
      assert.ok(!got.body.toString().includes(mirror.host), `${status}: ${got.body}`)
      assert.ok(!JSON.stringify(got.headers).includes(mirror.host))
    }
  }
})

test('every address that is refused is answered alike, by name and by number', async (t) => {
  const { port } = await agent(t, {})
  const server = await startFaultyUpstream()
  t.after(() => server.close())
  const code = {
    manifest: 'MANIFEST_UNKNOWN',
    'manifest by digest': 'MANIFEST_UNKNOWN',
    blob: 'BLOB_UNKNOWN',
    tags: 'NAME_UNKNOWN',
    referrers: 'UNAVAILABLE',
  } as const
  const listening = server.host.replace(':', '__')
  const names = [listening, '127.0.0.1__1', 'localhost__1', '169.254.169.254', '10.0.0.1', 'a.localhost']
  for (const [what, path] of Object.entries(ABOUT)) {
    const answers = new Set<string>()
    for (const name of names) {
      const got = await requestHttp1(port, `/v2/${name}/x/${path}`)
      assert.equal(got.status, what === 'referrers' ? 502 : 404)
      assert.match(got.body.toString(), /only if its settings list them \(upstreams\)/)
      assert.ok(got.body.toString().includes(code[what as keyof typeof code]))
      answers.add(told(got, name))
    }
    assert.equal(answers.size, 1)
  }
  assert.equal(server.requests.length, 0)
})
