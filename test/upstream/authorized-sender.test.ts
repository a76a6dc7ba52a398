import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { open } from './opened.ts'

const BYTES = Buffer.alloc(10_000, 'x')
const scopesOf = (path: string): string[] => new URL(path, 'http://x/').searchParams.getAll('scope')

test('a Bearer challenge is answered with a token for this repository', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ service: 'the service' })
  await bring(digest, new MemoryIntake())
  const [first, token, second] = server.requests
  assert.equal(first?.headers.authorization, undefined)
  assert.deepEqual(scopesOf(token?.path ?? ''), ['repository:team/app:pull'])
  assert.equal(new URL(token?.path ?? '', 'http://x/').searchParams.get('service'), 'the service')
  assert.match(second?.headers.authorization ?? '', /^Bearer token-1-/)
})

test('a token that is refused with 403, as by ECR, is replaced', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ uses: 1 })
  await bring(digest, new MemoryIntake())
  server.fault(digest, { status: 403, times: 1, body: 'Your Authorization Token has expired' })
  await bring(digest, new MemoryIntake())
  assert.equal(server.tokensIssued, 2)
})

test('a new token that is refused is a denial, which is remembered for some seconds', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ uses: 0 })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
  const asked = server.requests.length
  assert.ok(asked <= 4, `${asked} requests`)
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
  assert.equal(server.requests.length, asked)
})

test('a 403 to a new token is final: no other token is requested', async (t) => {
  const { server, source, want, signal, repository, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  await bring(digest, new MemoryIntake())
  const other = { ...want(digest), repository: { ...repository, name: 'other' } }
  server.fault(`/v2/other/blobs/${digest}`, { status: 403 })
  await assert.rejects(source(digest).bring(other, new MemoryIntake(), { signal }), { code: 'denied' })
  assert.equal(server.count(`/v2/other/blobs/${digest}`), 1)
  assert.equal(server.tokensIssued, 2)
})

test('a denial is remembered only for its repository', async (t) => {
  const { server, source, want, signal, repository } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(`/v2/team/app/blobs/${digest}`, { status: 403 })
  const other = { ...want(digest), repository: { ...repository, name: 'other' } }
  await assert.rejects(source(digest).bring(want(digest), new MemoryIntake(), { signal }), { code: 'denied' })
  await source(digest).bring(other, new MemoryIntake(), { signal })
})

for (const [what, challenges] of [
  ['Bearer after Basic', ['Basic realm="x"', 'Bearer realm="{realm}",service="s"']],
  ['both in one header', ['Basic realm="x", Bearer realm="{realm}",service="s"']],
  ['unquoted parameters in capitals', ['BEARER REALM={realm},SERVICE=s']],
] as const) {
  test(`a challenge with ${what} is answered`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addBlob(BYTES)
    server.requireBearer({ challenges })
    await bring(digest, new MemoryIntake())
    assert.equal(server.tokensIssued, 1)
  })
}

test('after a 401 without a challenge, /v2/ is asked for one', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault(digest, { status: 401, times: 1 })
  await bring(digest, new MemoryIntake())
  assert.deepEqual(
    server.requests.map(({ path }) => path.split('?', 1)[0]),
    [`/v2/team/app/blobs/${digest}`, '/v2/', '/token', `/v2/team/app/blobs/${digest}`],
  )
})

test('a 401 without a challenge from any path is a denial', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ challenges: [] })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
})

test('a Basic challenge is answered with the password, and without one it is a denial', async (t) => {
  const { server, bring } = await open(t, { username: 'u', password: 'p' })
  const digest = server.addBlob(BYTES)
  server.requireBasic('u', 'p')
  await bring(digest, new MemoryIntake())
  await bring(digest, new MemoryIntake())
  assert.equal(server.count(digest), 3, 'the second request is authorized at once')
  const anonymous = await open(t)
  const other = anonymous.server.addBlob(BYTES)
  anonymous.server.requireBasic('u', 'p')
  await assert.rejects(anonymous.bring(other, new MemoryIntake()), { code: 'denied' })
})

test('a wrong password is sent once', async (t) => {
  const { server, bring } = await open(t, { username: 'u', password: 'wrong' })
  const digest = server.addBlob(BYTES)
  server.requireBasic('u', 'p')
  for (let i = 0; i < 3; i += 1) await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
  assert.equal(server.count(digest), 2)
})

test('credentials are sent as Basic to the token service, and to no other host', async (t) => {
  const { server, bring } = await open(t, {}, { credentials: {} })
  const digest = server.addBlob(BYTES)
  server.requireBearer({ basic: { username: 'u', password: 'p' } })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })

  const known = await open(t, { username: 'u', password: 'p' })
  const other = known.server.addBlob(BYTES)
  known.server.requireBearer({ basic: { username: 'u', password: 'p' } })
  await known.bring(other, new MemoryIntake())
  for (const { path, headers } of known.server.requests) {
    assert.equal(/^Basic /.test(headers.authorization ?? ''), path.startsWith('/token'))
  }
})

for (const status of [400, 401, 404, 405]) {
  test(`when the token service answers a POST with ${status}, the identity token is sent with GET`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'leat-access-'))
    t.after(() => rm(folder, { recursive: true }))
    const dockerConfig = join(folder, 'config.json')
    const { server, bring } = await open(t, { dockerConfig })
    const auths = { [server.host]: { username: 'u', identitytoken: 'p' } }
    await writeFile(dockerConfig, JSON.stringify({ auths }))
    const digest = server.addBlob(BYTES)
    server.requireBearer({ basic: { username: 'u', password: 'p' } })
    server.fault('/token', { method: 'POST', status })
    await bring(digest, new MemoryIntake())
    assert.equal(server.tokensIssued, 1)
  })
}

test('an expired credential of a helper is requested from the helper again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-access-'))
  const path = process.env['PATH']
  t.after(async () => {
    process.env['PATH'] = path
    await rm(folder, { recursive: true })
  })
  process.env['PATH'] = `${folder}:${path}`
  const write = (password: string): Promise<void> => writeFile(join(folder, 'password'), password)
  const helper = join(folder, 'docker-credential-ecr')
  await writeFile(
    helper,
    `#!/bin/sh\nprintf '{"Username":"AWS","Secret":"%s"}' "$(cat ${folder}/password)"\n`,
  )
  await chmod(helper, 0o755)
  const dockerConfig = join(folder, 'config.json')
  await writeFile(dockerConfig, JSON.stringify({ credsStore: 'ecr' }))

  const { server, bring } = await open(t, { dockerConfig })
  const digest = server.addBlob(BYTES)
  server.requireBasic('AWS', 'one')
  await write('one')
  await bring(digest, new MemoryIntake())
  server.requireBasic('AWS', 'two')
  await write('two')
  server.fault(digest, { status: 403, times: 1, body: 'Your Authorization Token has expired' })
  await bring(digest, new MemoryIntake())
})

for (const [what, fault, code] of [
  ['answers 503', { status: 503 }, 'unavailable'],
  ['answers 429', { status: 429, headers: { 'retry-after': '7' } }, 'busy'],
  ['answers 404', { status: 404 }, 'denied'],
  ['sends HTML', { status: 200, body: '<html>' }, 'unavailable'],
  ['sends a response that is too long', { status: 200, body: 'x'.repeat(300_000) }, 'too-large'],
] as const) {
  test(`a token service that ${what} is a failure`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addBlob(BYTES)
    server.requireBearer()
    server.fault('/token', fault)
    await assert.rejects(bring(digest, new MemoryIntake()), { code })
    assert.ok(server.count('/token') <= 3)
  })
}

test('a realm on another host inside the network is not contacted', async (t) => {
  const stranger = await startFaultyUpstream()
  t.after(() => stranger.close())
  const { server, bring } = await open(t, { username: 'u', password: 'p' })
  const digest = server.addBlob(BYTES)
  const realm = `${stranger.url.replace('127.0.0.1', 'localhost')}/token`
  server.requireBearer({ challenges: [`Bearer realm="${realm}"`] })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
  assert.equal(stranger.requests.length, 0)
})

test('a realm on another host is contacted when the settings list it', async (t) => {
  const stranger = await startFaultyUpstream()
  t.after(() => stranger.close())
  const elsewhere = stranger.host.replace('127.0.0.1', 'localhost')
  const { server, bring } = await open(t, { realms: [elsewhere] })
  const digest = server.addBlob(BYTES)
  server.requireBearer({ challenges: [`Bearer realm="http://${elsewhere}/token"`] })
  // The registry refuses the tokens of another service, so the test checks only that the service is asked.
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'denied' })
  assert.ok(stranger.count('/token') > 0)
})
