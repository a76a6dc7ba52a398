import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLocation } from '../../../src/upstream/http/redirect.ts'
import type { AddressScope } from '../../../src/upstream/options/address-scope.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { open } from '../opened.ts'

const BYTES = Buffer.alloc(300_000, 'redirect')

const TABLE: readonly [boolean, string, string | undefined, AddressScope][] = [
  [true, 'https://r.io/v2/x', 'https://cdn.example/x?sig=1', 'public'],
  [true, 'https://r.io/v2/x', '/other', 'public'],
  [true, 'http://r.io/v2/x', 'https://cdn.example/', 'public'],
  [true, 'https://10.0.0.1/x', 'https://10.0.0.2/y', 'private'],
  [true, 'http://127.0.0.1:1/x', 'http://127.0.0.1:2/y', 'loopback'],
  [true, 'https://127.0.0.1/x', 'https://127.0.0.1/y', 'public'],
  [true, 'https://r.io/x', 'https://169.254.169.254/y', 'link-local'],
  [false, 'https://r.io/v2/x', 'http://cdn.example/', 'public'],
  [false, 'https://r.io/v2/x', 'https://127.0.0.1/', 'public'],
  [false, 'https://r.io/v2/x', 'https://localhost:8080/', 'public'],
  [false, 'https://r.io/v2/x', 'https://10.0.0.2/', 'public'],
  [false, 'https://10.0.0.1/x', 'https://127.0.0.1/', 'private'],
  [false, 'http://127.0.0.1:1/x', 'http://169.254.169.254/latest', 'loopback'],
  [false, 'https://r.io/v2/x', 'https://[::ffff:169.254.169.254]/', 'public'],
  [false, 'https://r.io/v2/x', 'file:///etc/passwd', 'public'],
  [false, 'https://r.io/v2/x', 'https://u:p@cdn.example/', 'public'],
  [false, 'https://r.io/v2/x', 'https://[', 'public'],
  [false, 'https://r.io/v2/x', undefined, 'public'],
]

for (const [isFollowed, from, to, scopeLimit] of TABLE) {
  test(`a redirect from ${from} to ${to} is ${isFollowed ? 'followed' : 'refused'} (${scopeLimit})`, () => {
    const check = (): URL => checkLocation(new URL(from), to, scopeLimit)
    if (isFollowed) assert.equal(check().href, new URL(to ?? '', from).href)
    else assert.throws(check, { code: 'unavailable' })
  })
}

for (const tls of [false, true]) {
  test(`a redirect of a blob to storage is followed${tls ? ' over TLS' : ''} without credentials`, async (t) => {
    const { server, bring } = await open(t, {}, { tls })
    const digest = server.addBlob(BYTES)
    server.requireBearer()
    server.fault(digest, { redirect: {} })
    const intake = new MemoryIntake()
    await bring(digest, intake)
    assert.ok(intake.bytes.equals(BYTES))
    const [atStorage] = server.requests.filter(({ origin }) => origin === 'storage')
    assert.ok(atStorage)
    assert.equal(atStorage.headers.authorization, undefined)
    assert.equal(atStorage.headers.cookie, undefined)
  })
}

test('a redirect of a manifest is followed', async (t) => {
  const { server, bring } = await open(t)
  const { manifest } = server.addImage('team/app', 'v1')
  server.fault(manifest, { redirect: {} })
  await bring(manifest, new MemoryIntake(), 'manifest')
})

test('when the URL of a redirect expires within a blob, the registry is asked for a new one', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { redirect: { uses: 1 }, dieAt: 100_000, times: 1 })
  server.fault(digest, { redirect: { uses: 1 } })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  assert.equal(intake.position, 100_000)
  await bring(digest, intake)
  assert.ok(intake.bytes.equals(BYTES))
  assert.equal(server.count(digest), 2)
  assert.equal(server.bytesSent(digest), BYTES.length)
})

test('the rest of a blob is asked of the storage, without asking the registry again', async (t) => {
  const { server, bring } = await open(t)
  const storage = await startFaultyUpstream()
  t.after(() => storage.close())
  const digest = server.addBlob(BYTES)
  storage.addBlob(BYTES)
  server.fault(digest, { redirect: { to: `${storage.url}/v2/x/blobs/${digest}` } })
  storage.fault(digest, { dieAt: 100_000, times: 1 })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  await bring(digest, intake)
  assert.ok(intake.bytes.equals(BYTES))
  assert.deepEqual([server.count(digest), storage.count(digest)], [1, 2])
  await bring(digest, new MemoryIntake())
  assert.equal(server.count(digest), 2, 'for the whole blob the registry is asked')
})

test('a storage that does not answer for the rest of a blob is forgotten, and the registry is asked', async (t) => {
  const { server, bring } = await open(t)
  const storage = await startFaultyUpstream()
  t.after(() => storage.close())
  const digest = server.addBlob(BYTES)
  storage.addBlob(BYTES)
  server.fault(digest, { redirect: { to: `${storage.url}/v2/x/blobs/${digest}` } })
  storage.fault(digest, { dieAt: 100_000, times: 1 })
  storage.fault(digest, { status: 500, times: 1 })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  await bring(digest, intake)
  assert.ok(intake.bytes.equals(BYTES))
  assert.deepEqual([server.count(digest), storage.count(digest)], [2, 3])
})

test('an expired URL of a redirect is not a denial', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { redirect: { uses: 0 } })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'unavailable' })
})

test('a circle of redirects is a failure', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { redirect: { to: `/v2/team/app/blobs/${digest}` } })
  await assert.rejects(bring(digest, new MemoryIntake()), /redirects more than 5 times/)
  assert.equal(server.count(digest), 6)
})

test('a redirect within the registry keeps the credentials', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault(`/v2/team/app/blobs/${digest}`, { redirect: { to: `/v2/other/blobs/${digest}` } })
  await bring(digest, new MemoryIntake())
  const last = server.requests.at(-1)
  assert.equal(last?.path, `/v2/other/blobs/${digest}`)
  assert.match(last?.headers.authorization ?? '', /^Bearer token-/)
})

test('a redirect to another origin and back carries no credentials', async (t) => {
  const { server, bring } = await open(t)
  const away = await startFaultyUpstream()
  t.after(() => away.close())
  const digest = server.addBlob(BYTES)
  server.requireBearer()
  server.fault(`/v2/team/app/blobs/${digest}`, { redirect: { to: `${away.url}/v2/x/blobs/${digest}` } })
  away.addBlob(BYTES)
  away.fault(digest, { redirect: { to: `${server.url}/v2/back/blobs/${digest}` } })
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'unavailable' })
  assert.equal(server.requests.at(-1)?.path, `/v2/back/blobs/${digest}`)
  assert.equal(server.requests.at(-1)?.headers.authorization, undefined)
})

test('a redirect from https to http is refused', async (t) => {
  const plain = await startFaultyUpstream()
  t.after(() => plain.close())
  const { server, bring } = await open(t, {}, { tls: true })
  const digest = server.addBlob(BYTES)
  server.fault(digest, { redirect: { to: `${plain.url}/x` } })
  await assert.rejects(bring(digest, new MemoryIntake()), /without TLS/)
  assert.equal(plain.requests.length, 0)
})

test('failures do not show the query of a URL', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { redirect: { to: 'http://127.0.0.1:1/data?signature=SECRET' } })
  await assert.rejects(bring(digest, new MemoryIntake()), (error: Error) => {
    assert.doesNotMatch(`${error.message} ${JSON.stringify(error)}`, /SECRET/)
    return true
  })
})
