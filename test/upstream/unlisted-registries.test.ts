import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Repository } from '../../src/oci/names/repository.ts'
import { Failure } from '../../src/ports/failure.ts'
import { examineUpstreams } from '../../src/upstream/examine.ts'
import { UpstreamHost } from '../../src/upstream/host.ts'
import {
  HttpHeaders,
  type HttpRequest,
  type HttpResponse,
  type SendRequest,
} from '../../src/upstream/http/messages.ts'
import { ANY_SCOPE, isWithinScope } from '../../src/upstream/options/address-scope.ts'
import {
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  type UpstreamOptions,
} from '../../src/upstream/options/options.ts'
import type { Lookup } from '../../src/upstream/options/scoped-lookup.ts'
import { Transport } from '../../src/upstream/transport/transport.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { sha256, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'

/** Requests to registries that the settings do not list. */

const { signal } = new AbortController()
const DIGEST = sha256('x')

interface Listener {
  readonly port: number
  readonly connectionCount: () => number
}

async function listener(t: TestContext): Promise<Listener> {
  let connectionCount = 0
  const server = createServer((socket) => {
    connectionCount += 1
    socket.destroy()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, connectionCount: () => connectionCount }
}

/** A DNS resolver that answers each look-up with the next list of addresses, and all later ones with the last. */
function resolverWith(...answers: readonly (readonly string[])[]): { lookup: Lookup; asked: () => number } {
  let asked = 0
  const lookup: Lookup = (_hostname, _options, callback) => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? []
    asked += 1
    const found = answer.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }))
    // The look-up is answered before any timer, so that no connection deadline passes first.
    process.nextTick(() => callback(null, found))
  }
  return { lookup, asked: () => asked }
}

interface Refusal {
  readonly code: unknown
  readonly message: unknown
  readonly source: unknown
}

/** Sends every kind of request to a registry, one after another or all `atOnce`, and returns the failures in order. */
async function requestEverything(
  registry: string,
  { atOnce = false, ...options }: UpstreamOptions & { atOnce?: boolean } = {},
): Promise<readonly Refusal[]> {
  const upstreams = createUpstreams({ deadlines: { connectMs: 50 }, backoffMs: 1, ...options })
  const repository: Repository = { registry, name: 'x' }
  const want = { digest: DIGEST, kind: 'blob', repository } as const
  const bring = (kind: 'blob' | 'manifest'): Promise<void> => {
    const [source] = upstreams.sources({ ...want, kind })
    assert.ok(source)
    return source.bring({ ...want, kind }, new MemoryIntake(), { signal })
  }
  const requests = [
    () => upstreams.tag(repository, 'v1', { signal }),
    () => upstreams.head(want, { signal }),
    () => upstreams.tags(repository, { signal }),
    () => upstreams.referrers(repository, DIGEST, { signal }),
    () => bring('blob'),
    () => bring('manifest'),
  ]
  try {
    if (atOnce) return await Promise.all(requests.map(refusalOf))
    const refusals: Refusal[] = []
    for (const send of requests) refusals.push(await refusalOf(send))
    return refusals
  } finally {
    await upstreams.close()
  }
}

async function refusalOf(send: () => Promise<unknown>): Promise<Refusal> {
  try {
    await send()
  } catch (error) {
    assert.ok(error instanceof Failure, String(error))
    return { code: error.code, message: error.message, source: error.details.source }
  }
  return assert.fail('the request succeeded')
}

const REFUSED = {
  code: 'unlisted',
  message:
    'this agent asks registries at special-purpose addresses only if its settings list them (upstreams)',
  source: undefined,
}

test('a loopback address is not contacted, however it is written', async (t) => {
  const { port, connectionCount } = await listener(t)
  const names = ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '0177.0.0.1', '[::ffff:127.0.0.1]', '[::1]']
  for (const name of [...names, 'localhost', 'LOCALHOST', 'a.localhost', '0.0.0.0', '[::]']) {
    const failures = await requestEverything(`${name}:${port}`)
    assert.deepEqual(failures, Array(6).fill(REFUSED), name)
  }
  assert.equal(connectionCount(), 0)
})

test('a private address is not contacted when it is the name of the registry', async () => {
  for (const name of ['10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1', '[fd12::1]']) {
    assert.deepEqual(await requestEverything(`${name}:1`), Array(6).fill(REFUSED), name)
  }
})

test('a name that resolves to loopback is not contacted, and its failure has the same text', async (t) => {
  const { port, connectionCount } = await listener(t)
  const { lookup, asked } = resolverWith(['127.0.0.1'])
  assert.deepEqual(await requestEverything(`inside.example:${port}`, { lookup }), Array(6).fill(REFUSED))
  assert.ok(asked() >= 6)
  assert.equal(connectionCount(), 0)
})

test('a name that resolves to loopback at a later look-up is not contacted', async (t) => {
  const { port, connectionCount } = await listener(t)
  // A global unicast address that is not allocated.
  const { lookup, asked } = resolverWith(['2e00::1'], ['127.0.0.1'])
  const [first, ...later] = await requestEverything(`rebound.example:${port}`, { lookup })
  assert.deepEqual(first, REFUSED, 'the first request is retried, and its retry is refused')
  assert.deepEqual(later, Array(5).fill(REFUSED))
  assert.ok(asked() > 1)
  assert.equal(connectionCount(), 0)
})

test('of several addresses only the permitted ones are contacted', async (t) => {
  const { port, connectionCount } = await listener(t)
  const { lookup } = resolverWith(['127.0.0.1', '2e00::1'])
  for (const { code } of await requestEverything(`both.example:${port}`, { lookup, atOnce: true })) {
    assert.ok(code === 'unavailable' || code === 'busy', String(code))
  }
  assert.equal(connectionCount(), 0)
})

test('behind a proxy, which resolves names itself, literal special addresses are refused', async (t) => {
  const proxy = await listener(t)
  const proxies = { http: `http://127.0.0.1:${proxy.port}`, https: `http://127.0.0.1:${proxy.port}` }
  for (const name of ['127.0.0.1', 'localhost', '169.254.169.254', '10.0.0.1']) {
    assert.deepEqual(await requestEverything(`${name}:1`, { proxies }), Array(6).fill(REFUSED), name)
  }
  assert.equal(proxy.connectionCount(), 0)
  const exempt = { ...proxies, exceptions: 'inside.example' }
  const { lookup } = resolverWith(['127.0.0.1'])
  assert.deepEqual(
    await requestEverything('inside.example:1', { proxies: exempt, lookup }),
    Array(6).fill(REFUSED),
    'a name that the agent resolves itself is checked',
  )
})

test('a registry with an entry may be at any address', async (t) => {
  const server = await startFaultyUpstream()
  t.after(() => server.close())
  const { manifest } = server.addImage('team/app', 'v1')
  const port = server.host.split(':').at(-1)
  const { lookup } = resolverWith(['127.0.0.1'])
  for (const entry of [
    { namespace: server.host },
    { namespace: 'r.example', hosts: [server.host] },
    { namespace: `r.example:${port}` },
    { namespace: `localhost:${port}` },
  ]) {
    const upstreams = createUpstreams({ entries: [{ ...entry, tls: false }], lookup })
    t.after(() => upstreams.close())
    const repository = { registry: entry.namespace, name: 'team/app' }
    assert.equal((await upstreams.tag(repository, 'v1', { signal })).digest, manifest)
  }
})

test('credentials and a Docker config do not list a registry, only an entry does', () => {
  const credentials = { 'localhost:5000': { username: 'a', password: 'b' } }
  const entries = [{ namespace: 'localhost:5001' }]
  const options = { credentials, entries, dockerConfig: '/etc/docker.json' }
  assert.equal(describeUpstream(options, 'localhost:5000').scopeLimit, 'public')
  assert.equal(describeUpstream(options, 'r.example').scopeLimit, 'private')
  assert.equal(describeUpstream(options, 'localhost:5001').scopeLimit, ANY_SCOPE)
  assert.equal(describeUpstream({}, 'no host').scopeLimit, 'public')
})

test('the examination of a registry without an entry follows the same rule', async (t) => {
  const { connectionCount } = await listener(t)
  const { lookup } = resolverWith(['127.0.0.1'])
  const [hub] = await examineUpstreams({ lookup }, { signal })
  assert.equal(hub?.isConfigured, false)
  assert.match(hub?.why ?? '', /only if its settings list them/)
  assert.equal(connectionCount(), 0)
})

/** A transport that records every request and answers it with `answer`. */
class ScriptedTransport extends Transport {
  readonly requests: HttpRequest[] = []
  readonly #answer: (request: HttpRequest) => { status: number; headers: Record<string, string> }
  override readonly send: SendRequest
  override readonly sendForBlob: SendRequest

  constructor(answer: (request: HttpRequest) => { status: number; headers: Record<string, string> }) {
    super({
      caFile: undefined,
      acceptInvalidCerts: false,
      proxies: undefined,
      lookup: undefined,
      deadlines: DEFAULT_DEADLINES,
    })
    this.#answer = answer
    this.send = (request) => this.#response(request)
    this.sendForBlob = this.send
  }

  async #response(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request)
    const { status, headers } = this.#answer(request)
    const body = { length: 0, readInto: async () => {}, dispose: () => {} }
    return { status, headers: new HttpHeaders(Object.entries(headers)), body }
  }
}

interface SentRequests {
  readonly requests: readonly HttpRequest[]
  readonly failure: unknown
}

/** Sends a request to a registry that answers it with these headers, and all later requests with 404. */
async function sendTo(
  options: UpstreamOptions,
  namespace: string,
  status: number,
  headers: Record<string, string>,
): Promise<SentRequests> {
  let isFirst = true
  const transport = new ScriptedTransport(() => {
    if (!isFirst) return { status: 404, headers: {} }
    isFirst = false
    return { status, headers }
  })
  const upstream = describeUpstream(options, namespace)
  const [host = ''] = upstream.hosts
  const { lookup } = options
  const upstreamHost = new UpstreamHost({
    upstream,
    host,
    transport,
    lookup,
    deadlines: DEFAULT_DEADLINES,
    backoffMs: DEFAULT_BACKOFF_MS,
    notices: undefined,
    signal,
  })
  const request = { method: 'GET', kind: 'manifest', path: 'manifests/v1', name: 'x', signal } as const
  const failure = await upstreamHost.send(request).then(
    () => undefined,
    (error: unknown) => error,
  )
  return { requests: transport.requests, failure }
}

const SPECIAL = ['127.0.0.1', '169.254.169.254', '[fd00:ec2::254]', '240.0.0.1', '198.18.0.1', 'localhost']
const ADDRESSES = [['2600::1'], ['10.0.0.1'], ['127.0.0.1'], ['2600::1', '127.0.0.1'], ['169.254.1.1']]

for (const where of ADDRESSES) {
  test(`a registry without an entry at ${where.join(' and ')} cannot send the agent to special addresses`, async () => {
    const { lookup } = resolverWith(where)
    for (const target of SPECIAL) {
      const redirect = { location: `https://${target}/x` }
      const redirected = await sendTo({ lookup }, 'r.example', 307, redirect)
      assert.equal(redirected.requests.length, 1, `redirect to ${target}`)
      assert.ok(redirected.failure)
      const realm = { 'www-authenticate': `Bearer realm="https://${target}/token"` }
      const challenged = await sendTo({ lookup }, 'r.example', 401, realm)
      assert.equal(challenged.requests.length, 1, `realm at ${target}`)
      assert.ok(challenged.failure)
    }
    const { requests } = await sendTo({ lookup }, 'r.example', 307, { location: 'https://storage.example/x' })
    assert.equal(requests.length, 2)
    for (const { scopeLimit } of requests) assert.ok(isWithinScope(scopeLimit, 'private'), scopeLimit)
    const own = { 'www-authenticate': 'Bearer realm="https://auth.r.example/token"' }
    for (const { scopeLimit } of (await sendTo({ lookup }, 'r.example', 401, own)).requests) {
      assert.ok(isWithinScope(scopeLimit, 'private'), scopeLimit)
    }
  })
}

test('a registry with an entry may redirect as far inside the network as it lies itself', async () => {
  const entries = [{ namespace: 'r.example' }]
  const follows = async (where: readonly string[], target: string): Promise<boolean> => {
    const { lookup } = resolverWith(where)
    const location = `https://${target}/x`
    return (await sendTo({ entries, lookup }, 'r.example', 307, { location })).requests.length === 2
  }
  assert.ok(!(await follows(['2600::1'], '10.0.0.1')))
  assert.ok(!(await follows(['2600::1'], '127.0.0.1')))
  assert.ok(await follows(['10.0.0.1'], '10.0.0.2'))
  assert.ok(await follows(['10.0.0.1'], '198.18.0.1'), 'some clusters use special ranges for their networks')
  assert.ok(!(await follows(['10.0.0.1'], '127.0.0.1')))
  assert.ok(await follows(['127.0.0.1'], '10.0.0.1'))
  assert.ok(await follows(['127.0.0.1'], '127.0.0.2'))
  assert.ok(!(await follows(['127.0.0.1'], '169.254.169.254')))
})
