import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { judgeUpstreams } from '../../../src/doctor/checks/upstreams.ts'
import { examineUpstreams } from '../../../src/upstream/examine.ts'
import type { UpstreamEntry } from '../../../src/upstream/options/options.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { told } from '../told.ts'

const ME = { username: 'ada', password: 'hunter2-hunter2' }
const OTHER = { username: 'ada', password: 'another' }
const NOBODY = '127.0.0.1:1'

async function server(t: TestContext): Promise<FaultyUpstream> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return upstream
}

/** What is found of Docker Hub, reached at these hosts instead of its own. */
async function findings(hosts: readonly string[], entry: Partial<UpstreamEntry> = {}) {
  const entries = [{ namespace: 'docker.io', hosts, tls: false, allowPrivateTargets: true, ...entry }]
  const examined = await examineUpstreams({ entries }, { signal: new AbortController().signal })
  const found = judgeUpstreams(examined)
  assert.ok(!JSON.stringify([examined, found]).includes('hunter2'), 'a password was told')
  return found
}

test('a registry that asks for nothing is well', async (t) => {
  const { host } = await server(t)
  assert.deepEqual(told(await findings([host])), [
    `ok: docker.io (${host}) answers, and asks for no credentials`,
  ])
})

test('credentials are shown, and whether they are accepted is told', async (t) => {
  const upstream = await server(t)
  const { host } = upstream
  const name = `docker.io (${host})`
  upstream.requireBasic(ME.username, ME.password)
  assert.deepEqual(told(await findings([host], ME)), [`ok: ${name} answers, and accepts the credentials`])
  assert.deepEqual(told(await findings([host], OTHER)), [`problem: ${name} refuses the credentials`])
  assert.deepEqual(told(await findings([host])), [
    `warning: ${name} lets nobody in without credentials, and none are set`,
  ])
  upstream.requireBearer({ basic: ME })
  assert.deepEqual(told(await findings([host], ME)), [`ok: ${name} answers, and accepts the credentials`])
  const [refused] = await findings([host], OTHER)
  assert.match(refused?.found ?? '', /refuses the credentials: 127\.0\.0\.1:\d+ refuses the credentials/)
  assert.match(refused?.todo ?? '', /put right what the settings have for docker\.io/)
  const [wanted] = await findings([host])
  assert.equal(wanted?.state, 'warning')
  upstream.requireBearer()
  assert.deepEqual(told(await findings([host])), [`ok: ${name} answers, and lets in without credentials`])
})

test('credentials that cannot be got at are a problem, without a word of them', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer({ basic: ME })
  const [found] = await findings([upstream.host], { username: 'ada', passwordFile: '/none/password' })
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /no access was got: \/none\/password cannot be read: ENOENT/)
})

test('a token service that is away is a problem of its own', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer()
  upstream.fault('/token', { status: 503 })
  const [found] = await findings([upstream.host])
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /answers, but no access was got: .*cannot answer \(status 503\)/)
})

test('a configured registry that is away is a problem, one of several hosts is a warning', async (t) => {
  const upstream = await server(t)
  const [dead] = await findings([NOBODY])
  assert.equal(dead?.state, 'problem')
  assert.equal(dead.found, `docker.io (${NOBODY}) does not answer: ${NOBODY}: ECONNREFUSED`)
  assert.match(dead.todo ?? '', /curl -v http:\/\/127\.0\.0\.1:1\/v2\/ /)
  assert.deepEqual(
    (await findings([NOBODY, upstream.host])).map(({ state }) => state),
    ['warning', 'ok'],
  )
  upstream.fault('/v2/', { status: 503 })
  assert.deepEqual(told(await findings([upstream.host])), [
    `problem: docker.io (${upstream.host}) answers 503 to /v2/`,
  ])
})

test('a registry that never answers is left at the deadline', async (t) => {
  const upstream = await server(t)
  upstream.fault('/v2/', { silent: true })
  const entries = [{ namespace: 'docker.io', hosts: [upstream.host], tls: false }]
  const leaving = new AbortController()
  const examining = examineUpstreams({ entries }, { signal: leaving.signal })
  await upstream.stalled('/v2/')
  leaving.abort()
  assert.deepEqual(told(judgeUpstreams(await examining)), [
    `problem: docker.io (${upstream.host}) does not answer: no answer in time`,
  ])
})

test('Docker Hub without an entry is only a warning when it is away', () => {
  const hub = {
    namespace: 'docker.io',
    host: 'registry-1.docker.io',
    url: 'https://registry-1.docker.io/v2/',
    isConfigured: false,
    status: undefined,
    aheadMs: undefined,
    credentialCheck: 'unknown' as const,
    why: 'registry-1.docker.io: ENOTFOUND',
    quota: undefined,
  }
  assert.deepEqual(told(judgeUpstreams([hub])), [
    'warning: docker.io (registry-1.docker.io) does not answer: registry-1.docker.io: ENOTFOUND',
  ])
})

test('how many pulls are left is asked without a pull, and told when they run short', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer()
  const preview = '/v2/ratelimitpreview/test/manifests/latest'
  const left: readonly (readonly [number, string])[] = [
    [76, 'ok'],
    [7, 'warning'],
    [0, 'problem'],
  ]
  for (const [remaining, state] of left) {
    upstream.fault(preview, {
      times: 1,
      status: remaining === 0 ? 429 : 200,
      headers: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': `${remaining};w=21600` },
    })
    const found = await findings([upstream.host])
    assert.equal(
      told(found)[1],
      `${state}: docker.io (${upstream.host}) allows ${remaining} of 100 pulls more in 360 minutes`,
    )
  }
  assert.equal(upstream.count(preview, 'HEAD'), left.length)
  assert.equal(upstream.count(preview), left.length)
})
