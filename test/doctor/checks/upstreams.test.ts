import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { judgeUpstreams } from '../../../src/doctor/checks/upstreams.ts'
import { examineUpstreams } from '../../../src/upstream/examine.ts'
import type { UpstreamEntry } from '../../../src/upstream/options/options.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { findingLines } from '../finding-lines.ts'

const ACCEPTED = { username: 'ada', password: 'hunter2-hunter2' }
const REFUSED = { username: 'ada', password: 'another' }
const REFUSING = '127.0.0.1:1'

async function server(t: TestContext): Promise<FaultyUpstream> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return upstream
}

/** The findings about Docker Hub, with these hosts instead of its own. */
async function findings(hosts: readonly string[], entry: Partial<UpstreamEntry> = {}) {
  const entries = [{ namespace: 'docker.io', hosts, tls: false, allowPrivateTargets: true, ...entry }]
  const examined = await examineUpstreams({ entries }, { signal: new AbortController().signal })
  const found = judgeUpstreams(examined)
  assert.ok(!JSON.stringify([examined, found]).includes('hunter2'), 'a password was reported')
  return found
}

test('a registry that needs no credentials is ok', async (t) => {
  const { host } = await server(t)
  assert.deepEqual(findingLines(await findings([host])), [
    `ok: docker.io (${host}) answers, and needs no credentials`,
  ])
})

test('accepted, refused and missing credentials are different findings', async (t) => {
  const upstream = await server(t)
  const { host } = upstream
  const name = `docker.io (${host})`
  upstream.requireBasic(ACCEPTED.username, ACCEPTED.password)
  assert.deepEqual(findingLines(await findings([host], ACCEPTED)), [
    `ok: ${name} answers, and accepts the credentials`,
  ])
  assert.deepEqual(findingLines(await findings([host], REFUSED)), [
    `problem: ${name} refuses the credentials`,
  ])
  assert.deepEqual(findingLines(await findings([host])), [
    `warning: ${name} requires credentials, and none are set`,
  ])
  upstream.requireBearer({ basic: ACCEPTED })
  assert.deepEqual(findingLines(await findings([host], ACCEPTED)), [
    `ok: ${name} answers, and accepts the credentials`,
  ])
  const [refused] = await findings([host], REFUSED)
  assert.match(refused?.found ?? '', /refuses the credentials: 127\.0\.0\.1:\d+ refuses the credentials/)
  assert.match(refused?.todo ?? '', /correct .* of docker\.io in the settings/)
  const [wanted] = await findings([host])
  assert.equal(wanted?.state, 'warning')
  upstream.requireBearer()
  assert.deepEqual(findingLines(await findings([host])), [`ok: ${name} answers, and allows anonymous access`])
})

test('credentials that cannot be read are a problem, and are not reported', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer({ basic: ACCEPTED })
  const [found] = await findings([upstream.host], { username: 'ada', passwordFile: '/none/password' })
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /the credentials could not be checked: \/none\/password cannot be read: ENOENT/)
})

test('credentials that cannot be read are a problem also where none are asked for', async (t) => {
  const upstream = await server(t)
  const [found] = await findings([upstream.host], { username: 'ada', passwordFile: '/none/password' })
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /the credentials could not be checked: \/none\/password cannot be read: ENOENT/)
})

test('credentials whose token the registry refuses are a problem', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer({ basic: ACCEPTED, uses: 0 })
  const [found] = await findings([upstream.host], ACCEPTED)
  assert.match(
    found?.found ?? '',
    /refuses the credentials: its token service issues a token that it does not/,
  )
})

test('a token service that fails is a problem', async (t) => {
  const upstream = await server(t)
  upstream.requireBearer()
  upstream.fault('/token', { status: 503 })
  const [found] = await findings([upstream.host])
  assert.equal(found?.state, 'problem')
  assert.match(
    found.found,
    /answers, but the credentials could not be checked: .*cannot answer \(status 503\)/,
  )
})

test('a configured registry that does not answer is a problem, one of several hosts is a warning', async (t) => {
  const upstream = await server(t)
  const [dead] = await findings([REFUSING])
  assert.equal(dead?.state, 'problem')
  assert.equal(dead.found, `docker.io (${REFUSING}) does not answer: ${REFUSING}: ECONNREFUSED`)
  assert.match(dead.todo ?? '', /curl -v http:\/\/127\.0\.0\.1:1\/v2\/ /)
  assert.deepEqual(
    (await findings([REFUSING, upstream.host])).map(({ state }) => state),
    ['warning', 'ok'],
  )
  upstream.fault('/v2/', { status: 503 })
  assert.deepEqual(findingLines(await findings([upstream.host])), [
    `problem: docker.io (${upstream.host}) answers 503 to /v2/`,
  ])
})

test('a registry that never answers is given up at the deadline', async (t) => {
  const upstream = await server(t)
  upstream.fault('/v2/', { silent: true })
  const entries = [{ namespace: 'docker.io', hosts: [upstream.host], tls: false }]
  const deadline = new AbortController()
  const examining = examineUpstreams({ entries }, { signal: deadline.signal })
  await upstream.stalled('/v2/')
  deadline.abort()
  assert.deepEqual(findingLines(judgeUpstreams(await examining)), [
    `problem: docker.io (${upstream.host}) does not answer: no answer in time`,
  ])
})

test('Docker Hub without an entry is only a warning if it does not answer', () => {
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
  assert.deepEqual(findingLines(judgeUpstreams([hub])), [
    'warning: docker.io (registry-1.docker.io) does not answer: registry-1.docker.io: ENOTFOUND',
  ])
})

test('the quota is requested without a pull, and a low quota is a warning', async (t) => {
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
      findingLines(found)[1],
      `${state}: docker.io (${upstream.host}) allows ${remaining} more pulls in 360 minutes; the limit is 100`,
    )
  }
  assert.equal(upstream.count(preview, 'HEAD'), left.length)
  assert.equal(upstream.count(preview), left.length)
})
