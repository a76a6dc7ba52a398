import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { EverybodyAccess } from '../../src/access/everybody-access.ts'
import { DEFAULT_FLIGHT_POLICY } from '../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../src/fetch/freshness.ts'
import { CachingResolver } from '../../src/fetch/resolver.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { createRegistryServer } from '../../src/registry-api/server.ts'
import type { UpstreamOptions } from '../../src/upstream/options/options.ts'
import type { Lookup } from '../../src/upstream/options/scoped-lookup.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { nextRequestEnded, type ReceivedAnswer, requestHttp1 } from './test-server.ts'

/** These tests check that a client learns that an upstream has failed, and nothing about how. */

const DIGEST = `sha256:${'a'.repeat(64)}`
const PATHS = {
  manifest: 'manifests/v1',
  'manifest by digest': `manifests/${DIGEST}`,
  blob: `blobs/${DIGEST}`,
  tags: 'tags/list',
  referrers: `referrers/${DIGEST}`,
}

async function listen(t: TestContext, server: Server): Promise<string> {
  const openSockets = new Set<Socket>()
  server.on('connection', (socket) => {
    openSockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => openSockets.delete(socket))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => {
    for (const socket of openSockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return `127.0.0.1:${address.port}`
}

/** Fails as DNS does for a name that does not exist. */
const failingLookup: Lookup = (hostname, _options, callback) => {
  process.nextTick(callback, Object.assign(new Error(`${hostname} does not exist`), { code: 'ENOTFOUND' }))
}

/** Starts a registry server with in-memory storage and these upstream registries. */
async function startAgent(
  t: TestContext,
  registries: Readonly<Record<string, { host: string; tls: boolean }>>,
  deadlines: UpstreamOptions['deadlines'] = {},
): Promise<{ port: number }> {
  const entries = Object.entries(registries).map(([namespace, { host, tls }]) => ({
    namespace,
    hosts: [host],
    tls,
  }))
  const upstreams = createUpstreams({ entries, deadlines, backoffMs: 1, lookup: failingLookup })
  const resolver = new CachingResolver({
    store: new MemoryStore(),
    catalog: new MemoryCatalog(),
    registry: upstreams,
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: 1024,
    flightLimit: 100,
  })
  const listening = { host: '127.0.0.1', port: 0 }
  const access = new EverybodyAccess(async () => false)
  const server = createRegistryServer({
    ...{ resolver, access },
    listen: listening,
    defaultNamespace: 'docker.io',
  })
  t.after(async () => {
    await server.close()
    await upstreams.close()
  })
  return server.start()
}

/** Everything that an answer reveals, except the registry name that the client has sent. */
function revealed({ status, headers, body }: ReceivedAnswer, registry: string): string {
  const { date: _, ...others } = headers
  return JSON.stringify({ status, others, body: body.toString().replaceAll(registry, 'REGISTRY') })
}

test('clients do not learn why an upstream cannot be reached; the request.ended event says it', async (t) => {
  // No process starts to listen on a port below 1024 while the test runs.
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
  // All requests run at once, because most of the time passes in waiting for deadlines.
  const requests = Object.entries(PATHS).map(async ([what, path], at) => {
    // Each kind of request has its own agent, so that no circuit opens.
    const { port } = await startAgent(t, registries, { connectMs: 150, headerMs: 150 })
    const name = `x${at}`
    const answering = Object.keys(registries).map(async (registry) => {
      const isAbout = (repository?: Repository): boolean =>
        repository?.registry === registry && repository.name === name
      const ended = nextRequestEnded(({ repository }) => isAbout(repository))
      const got = await requestHttp1(port, `/v2/${registry}/${name}/${path}`)
      assert.equal(got.status, 502, `${what} of ${registry}`)
      assert.doesNotMatch(got.body.toString(), /127\.0|169\.254|E[A-Z]{5,}|invalid"|\d{4,5}|CERT|TLS/)
      assert.match((await ended).error ?? '', /127\.0\.0\.1|169\.254|no-such-host/, registry)
      return revealed(got, registry)
    })
    const answers = new Set(await Promise.all(answering))
    assert.equal(answers.size, 1, [...answers].join('\n'))
  })
  await Promise.all(requests)
})

test('clients do not learn of a host that they did not name, whatever that host has answered', async (t) => {
  const mirror = await startFaultyUpstream()
  t.after(() => mirror.close())
  const { port } = await startAgent(t, { 'r.test': { host: mirror.host, tls: false } })
  for (const status of [400, 401, 403, 404, 418, 429, 500, 503]) {
    mirror.heal()
    for (const path of Object.values(PATHS)) mirror.fault(path, { status })
    for (const path of Object.values(PATHS)) {
      const got = await requestHttp1(port, `/v2/r.test/x/${path}`)
      assert.ok(!got.body.toString().includes(mirror.host), `${status}: ${got.body}`)
      assert.ok(!JSON.stringify(got.headers).includes(mirror.host))
    }
  }
})

test('every refused address gets the same answer, by name and by number', async (t) => {
  const { port } = await startAgent(t, {})
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
  for (const [what, path] of Object.entries(PATHS)) {
    const answers = new Set<string>()
    for (const name of names) {
      const got = await requestHttp1(port, `/v2/${name}/x/${path}`)
      assert.equal(got.status, what === 'referrers' ? 502 : 404)
      assert.match(got.body.toString(), /only if its settings list them \(upstreams\)/)
      assert.ok(got.body.toString().includes(code[what as keyof typeof code]))
      answers.add(revealed(got, name))
    }
    assert.equal(answers.size, 1)
  }
  assert.equal(server.requests.length, 0)
})
