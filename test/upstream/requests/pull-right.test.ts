import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../opened.ts'

const { signal } = new AbortController()
const LOGIN = { user: 'alice', password: 'right' }
const AGENT = { username: 'agent', password: 'own' }

test('each question is a request that needs the right to pull', async (t) => {
  const { server, upstreams, repository } = await open(t, { authorize: 'upstream', ...AGENT })
  const digest = server.addBlob(Buffer.from('layer'))
  server.addManifest('team/app', 'v1', '{"schemaVersion":2}')
  server.requireBasic(LOGIN.user, LOGIN.password)
  const { confirm } = upstreams.pullRights
  const contents = [
    [{ kind: 'manifest', reference: 'v1' }, 'HEAD', '/v2/team/app/manifests/v1'],
    [{ kind: 'blob', digest }, 'HEAD', `/v2/team/app/blobs/${digest}`],
    [{ kind: 'tags' }, 'GET', '/v2/team/app/tags/list?n=1'],
  ] as const
  for (const [content, method, path] of contents) {
    await confirm(repository, content, LOGIN, { signal })
    const last = server.requests.at(-1)
    assert.deepEqual([last?.method, last?.path], [method, path])
    await assert.rejects(confirm(repository, content, undefined, { signal }), { code: 'denied' })
    await assert.rejects(confirm(repository, content, { ...LOGIN, password: 'x' }, { signal }), {
      code: 'denied',
    })
  }
  await assert.rejects(confirm(repository, { kind: 'manifest', reference: 'none' }, LOGIN, { signal }), {
    code: 'absent',
  })
})

test('a question has its own token, and never a credential of the agent', async (t) => {
  const { server, upstreams, repository } = await open(t, { authorize: 'upstream', ...AGENT })
  server.addManifest('team/app', 'v1', '{"schemaVersion":2}')
  server.requireBearer({ basic: { username: LOGIN.user, password: LOGIN.password } })
  const question = [repository, { kind: 'manifest', reference: 'v1' }] as const
  const { confirm } = upstreams.pullRights
  await assert.rejects(confirm(...question, undefined, { signal }), { code: 'denied' })
  await confirm(...question, LOGIN, { signal })
  await confirm(...question, LOGIN, { signal })
  assert.equal(server.tokensIssued, 2)
  await assert.rejects(confirm(...question, undefined, { signal }), { code: 'denied' })
  const own = Buffer.from('agent:own').toString('base64')
  assert.ok(!JSON.stringify(server.requests).includes(own))
  // The agent's own requests use neither the token nor the login of a client.
  await assert.rejects(upstreams.tag(repository, 'v1', { signal }), { code: 'denied' })
})

test('a registry decides only where its entry says so, for the time that the entry says', async (t) => {
  const { upstreams, repository } = await open(t)
  assert.equal(upstreams.pullRights.isUsed, false)
  assert.equal(upstreams.pullRights.staleMsOf(repository), undefined)
  const deciding = await open(t, { authorize: 'upstream', authorizeStaleMs: 5 })
  assert.equal(deciding.upstreams.pullRights.isUsed, true)
  assert.equal(deciding.upstreams.pullRights.staleMsOf(deciding.repository), 5)
  assert.equal(deciding.upstreams.pullRights.staleMsOf({ registry: 'docker.io', name: 'a' }), undefined)
})
