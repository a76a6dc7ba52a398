import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { open } from '../opened.ts'

const BYTES = Buffer.alloc(10_000, 'x')

test('later requests send the token at once', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ expiresIn: 300 })
  for (let i = 0; i < 3; i += 1) await bring(digest, new MemoryIntake())
  assert.equal(server.tokensIssued, 1)
  assert.equal(server.count(digest), 4)
})

test('concurrent requests share one token request', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  await Promise.all(Array.from({ length: 8 }, () => bring(digest, new MemoryIntake())))
  assert.equal(server.tokensIssued, 1)
})

test('an aborted request does not abort the token request of the others', async (t) => {
  const { server, source, want, signal } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault('/token', { stallAt: 0, drip: { bytes: 1, everyMs: 1 }, times: 0 })
  const controller = new AbortController()
  const aborted = source(digest).bring(want(digest), new MemoryIntake(), { signal: controller.signal })
  const outcome = assert.rejects(aborted, /gone/)
  const other = source(digest).bring(want(digest), new MemoryIntake(), { signal })
  await server.asked('/token')
  controller.abort(new Error('gone'))
  await outcome
  await other
  assert.equal(server.tokensIssued, 1)
})

test('a token that expires in the middle of a pull is replaced', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ uses: 2 })
  for (let i = 0; i < 5; i += 1) await bring(digest, new MemoryIntake())
  assert.equal(server.tokensIssued, 3)
})

test('the token may be called access_token', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer({ field: 'access_token' })
  await bring(digest, new MemoryIntake())
})

test('an identity token is exchanged by POST', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-access-'))
  t.after(() => rm(folder, { recursive: true }))
  const dockerConfig = join(folder, 'config.json')
  const { server, bring } = await open(t, { dockerConfig })
  await writeFile(dockerConfig, JSON.stringify({ auths: { [server.host]: { identitytoken: 'refresh me' } } }))
  const digest = server.addBlob(BYTES)
  server.requireBearer({ refreshToken: 'refresh me' })
  await bring(digest, new MemoryIntake())
  const posted = server.requests.find(({ method }) => method === 'POST')
  const form = new URLSearchParams(posted?.body)
  assert.equal(form.get('grant_type'), 'refresh_token')
  assert.equal(form.get('scope'), 'repository:team/app:pull')
  assert.equal(posted?.headers['content-type'], 'application/x-www-form-urlencoded')
})

test('a token service that answers 503 is asked again', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault('/token', { status: 503, times: 2 })
  await bring(digest, new MemoryIntake())
  assert.equal(server.count('/token'), 3)
})

test('a token service that never answers is a failure at the deadline', async (t) => {
  const { server, bring } = await open(t, {}, { deadlines: { tokenMs: 50 } })
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault('/token', { silent: true })
  await assert.rejects(bring(digest, new MemoryIntake()), {
    code: 'unavailable',
    message: /no token within 50 ms/,
  })
})
