import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { WantedContent } from '../../../src/ports/access/pull-rights.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
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

test('an answer with the status 200 is a right only if it is about the content', async (t) => {
  const { server, upstreams, repository } = await open(t, { authorize: 'upstream' })
  const { confirm } = upstreams.pullRights
  const [digest, other] = [digestOf(Buffer.from('a')), digestOf(Buffer.from('b'))]
  const html = { 'content-type': 'text/html; charset=utf-8' }
  const manifest = { kind: 'manifest', reference: 'v1' } as const
  const byDigest = { kind: 'manifest', reference: digest } as const
  const tags = { kind: 'tags' } as const
  const table: readonly [WantedContent, Readonly<Record<string, string>>, string, boolean][] = [
    [manifest, { 'content-type': OCI_MANIFEST }, '', true],
    [manifest, { 'docker-content-digest': other }, '', true],
    [manifest, {}, '', false],
    [manifest, { 'content-type': 'application/json' }, '', false],
    [manifest, { ...html, 'docker-content-digest': other }, '', false],
    [manifest, { 'docker-content-digest': 'none', 'content-type': OCI_MANIFEST }, '', false],
    [byDigest, { 'docker-content-digest': digest }, '', true],
    [byDigest, { 'docker-content-digest': other, 'content-type': OCI_MANIFEST }, '', false],
    [{ kind: 'blob', digest }, {}, '', true],
    [{ kind: 'blob', digest }, html, '', false],
    [tags, {}, '{"name":"team/app","tags":["v1"]}', true],
    [tags, {}, '{"name":"team/app","tags":null}', true],
    [tags, html, '{"tags":[]}', false],
    [tags, {}, '<html>log in</html>', false],
    [tags, {}, '{"login":"first"}', false],
  ]
  for (const [content, headers, body, isRight] of table) {
    const target =
      content.kind === 'manifest' ? content.reference : content.kind === 'blob' ? content.digest : 'tags/list'
    server.fault(target, { times: 1, status: 200, headers, body })
    const asked = confirm(repository, content, LOGIN, { signal })
    if (isRight) await asked
    else await assert.rejects(asked, { code: 'unavailable' }, JSON.stringify([content, headers, body]))
  }
})

test('an answer of another origin is a right for a blob only', async (t) => {
  const { server, upstreams, repository } = await open(t, { authorize: 'upstream' })
  const { confirm } = upstreams.pullRights
  server.addManifest('team/app', 'v1', '{"schemaVersion":2}')
  const digest = server.addBlob(Buffer.from('layer'))
  for (const target of ['v1', 'tags/list', digest]) server.fault(target, { redirect: {} })
  await confirm(repository, { kind: 'blob', digest }, LOGIN, { signal })
  for (const content of [{ kind: 'manifest', reference: 'v1' }, { kind: 'tags' }] as const)
    await assert.rejects(confirm(repository, content, LOGIN, { signal }), { code: 'unavailable' })
})

test('after a 429 no question with the same login is sent until the time that it names', async (t) => {
  const { server, upstreams, repository } = await open(t, { authorize: 'upstream' })
  const { confirm } = upstreams.pullRights
  server.addManifest('team/app', 'v1', '{"schemaVersion":2}')
  const question = [repository, { kind: 'manifest', reference: 'v1' }] as const
  for (const login of [LOGIN, undefined]) {
    server.fault('v1', { times: 1, status: 429, headers: { 'retry-after': '600' } })
    await assert.rejects(confirm(...question, login, { signal }), { code: 'busy' })
    const asked = server.requests.length
    await assert.rejects(confirm(...question, login, { signal }), { code: 'busy' })
    assert.equal(server.requests.length, asked)
  }
  await confirm(...question, { ...LOGIN, user: 'bob' }, { signal })
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

test('a question says when it waits because of maxRequestsPerSecond, and when it is sent', async (t) => {
  const { server, upstreams, repository } = await open(t, {
    authorize: 'upstream',
    maxRequestsPerSecond: 1000,
  })
  server.addManifest('team/app', 'v1', '{"schemaVersion":2}')
  server.requireBearer({ basic: { username: LOGIN.user, password: LOGIN.password } })
  const states: string[] = []
  const content = { kind: 'manifest', reference: 'v1' } as const
  await upstreams.pullRights.confirm(repository, content, LOGIN, {
    signal,
    onPace: (state) => states.push(state),
  })
  assert.deepEqual(states, ['waits', 'begins', 'waits', 'begins'])
})
