import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../src/lib/http1/headers.ts'
import { UpstreamHost } from '../../src/upstream/host.ts'
import type { HttpRequest, HttpResponse, SendRequest } from '../../src/upstream/http/messages.ts'
import { UpstreamLimits } from '../../src/upstream/limits/upstream-limits.ts'
import { isWithinScope } from '../../src/upstream/options/address-scope.ts'
import {
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  type UpstreamOptions,
} from '../../src/upstream/options/options.ts'
import { Transport } from '../../src/upstream/transport/transport.ts'
import { resolverWith } from './test-network.ts'

const { signal } = new AbortController()

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
    limits: new UpstreamLimits(upstream),
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
