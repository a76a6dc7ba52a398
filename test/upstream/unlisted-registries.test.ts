import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Repository } from '../../src/oci/names/repository.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { UpstreamOptions } from '../../src/upstream/options/options.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { listener, resolverWith } from './test-network.ts'

const { signal } = new AbortController()
const DIGEST = sha256('x')

interface RequestFailure {
  readonly code: unknown
  readonly message: unknown
  readonly source: unknown
}

/** Sends every kind of request to a registry, one after another or all `atOnce`, and returns the failures in order. */
async function requestEverything(
  registry: string,
  { atOnce = false, ...options }: UpstreamOptions & { atOnce?: boolean } = {},
): Promise<readonly RequestFailure[]> {
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
    if (atOnce) return await Promise.all(requests.map(failureOf))
    const failures: RequestFailure[] = []
    for (const send of requests) failures.push(await failureOf(send))
    return failures
  } finally {
    await upstreams.close()
  }
}

async function failureOf(send: () => Promise<unknown>): Promise<RequestFailure> {
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
