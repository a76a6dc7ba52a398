import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AdminAccess } from '../../src/admin-api/admin-access.ts'
import { adminRoute } from '../../src/admin-api/route.ts'
import { folder } from '../store/folder.ts'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()
const TOKEN = 'a-token-for-everything'
const READ_TOKEN = 'a-token-for-reading-1'

async function tokenFiles(t: TestContext): Promise<{ tokenFile: string; readTokenFile: string }> {
  const path = await folder(t)
  const files = { tokenFile: join(path, 'token'), readTokenFile: join(path, 'read-token') }
  await writeFile(files.tokenFile, `${TOKEN}\n`)
  await writeFile(files.readTokenFile, READ_TOKEN)
  return files
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } }
}

const OPEN = ['/', '/page/main.js', '/healthz', '/readyz', '/readyz?warm=1', '/nothing']
const READING = [
  '/metrics',
  '/api/v1/status',
  '/api/v1/pulls',
  '/api/v1/blobs',
  '/api/v1/images',
  '/api/v1/why?subject=alpine',
  '/api/v1/why',
]
const CHANGING: readonly [string, string][] = [
  ['POST', '/api/v1/gc'],
  ['POST', '/api/v1/verify'],
  ['POST', '/api/v1/warm'],
  ['POST', '/api/v1/pins'],
  ['DELETE', '/api/v1/pins'],
  ['DELETE', '/api/v1/images'],
]

test('without a token only the page and health are answered', async (t) => {
  const port = await fixture.startServer(fixture.reporter, { auth: await tokenFiles(t) })
  for (const path of OPEN) assert.ok([200, 404, 503].includes((await sendRequest(port, path)).status), path)
  for (const path of READING) {
    const refused = await sendRequest(port, path)
    assert.equal(refused.status, 401, path)
    assert.equal(refused.headers['www-authenticate'], 'Bearer realm="leat"')
    assert.match(JSON.parse(refused.body).error, /--admin-token-file/)
  }
  for (const [method, path] of CHANGING)
    assert.equal((await sendRequest(port, path, { method, body: '{}' })).status, 401, `${method} ${path}`)
})

test('the token for reading reads and changes nothing, the other one does both', async (t) => {
  fixture.store.put('layer')
  const port = await fixture.startServer(fixture.reporter, { auth: await tokenFiles(t) })
  for (const token of [TOKEN, READ_TOKEN]) {
    for (const path of READING) {
      const { status } = await sendRequest(port, path, bearer(token))
      assert.ok(status === 200 || (status === 400 && path === '/api/v1/why'), `${path}: ${status}`)
    }
  }
  for (const [method, path] of CHANGING) {
    const refused = await sendRequest(port, path, { method, body: '{}', ...bearer(READ_TOKEN) })
    assert.equal(refused.status, 403, `${method} ${path}`)
  }
  assert.equal(fixture.store.stored.size, 1)
  const gc = { method: 'POST', body: '{"toBytes":0}', ...bearer(TOKEN) }
  assert.equal((await sendRequest(port, '/api/v1/gc', gc)).status, 200)
  assert.equal(fixture.store.stored.size, 0)
})

test('a token does not let a web page run commands, nor another host read', async (t) => {
  const port = await fixture.startServer(fixture.reporter, { auth: await tokenFiles(t) })
  const { headers } = bearer(TOKEN)
  const page = { method: 'POST', body: '{}', headers: { ...headers, origin: 'http://evil.example' } }
  assert.equal((await sendRequest(port, '/api/v1/gc', page)).status, 403)
  assert.equal((await sendRequest(port, '/api/v1/status', { host: 'evil.example', headers })).status, 403)
})

test('a wrong token, or one in another form, is refused', async (t) => {
  const port = await fixture.startServer(fixture.reporter, { auth: await tokenFiles(t) })
  const basic = Buffer.from(`x:${TOKEN}`).toString('base64')
  for (const authorization of [
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    'Bearer ',
    TOKEN,
    `Basic ${basic}`,
    `Bearer ${TOKEN} x`,
  ])
    assert.equal(
      (await sendRequest(port, '/metrics', { headers: { authorization } })).status,
      401,
      authorization,
    )
  assert.equal((await sendRequest(port, `/metrics?token=${TOKEN}`)).status, 401)
})

test('a new token is used when its file changes, and a broken file keeps the last one', async (t) => {
  const { tokenFile } = await tokenFiles(t)
  const access = await AdminAccess.open({ tokenFile }, { checkMs: 0 })
  const isRefused = async (token: string) =>
    (await access.refuse(adminRoute('POST', '/api/v1/gc'), `Bearer ${token}`)) !== undefined
  assert.deepEqual([await isRefused(TOKEN), await isRefused('the-new-token-is-long')], [false, true])
  await writeFile(tokenFile, 'the-new-token-is-long')
  assert.deepEqual([await isRefused(TOKEN), await isRefused('the-new-token-is-long')], [true, false])
  await writeFile(tokenFile, 'short')
  assert.deepEqual([await isRefused('short'), await isRefused('the-new-token-is-long')], [true, false])
})

test('a file without a good token stops the start, and the error does not quote it', async (t) => {
  const { tokenFile } = await tokenFiles(t)
  for (const text of ['', 'hunter2', 'two words of a token', 'x'.repeat(513)]) {
    await writeFile(tokenFile, text)
    await assert.rejects(
      AdminAccess.open({ tokenFile }),
      (error: Error) =>
        /holds no token; write 16 to 512 characters/.test(error.message) && !/hunter2/.test(error.message),
    )
  }
})
