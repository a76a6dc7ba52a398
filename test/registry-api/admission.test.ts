import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { repositoryKey } from '../../src/oci/names/repository.ts'
import type { AccessControl, Caller, Decision, Wish } from '../../src/ports/access.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { ALPINE, errorCodeOf, requestHttp1, requestHttp2, startTestServer } from './test-server.ts'

const ALLOWED: Decision = { kind: 'allowed', identity: { name: 'ann' } }
const DIGEST = digestOf(Buffer.from('x'))
const ID = '0a'.repeat(32)

/** Decides what it is told to, and remembers what it was asked. */
class ScriptedAccess implements AccessControl {
  readonly asked: string[] = []
  readonly callers: Caller[] = []
  decision: Decision = ALLOWED

  async decide(caller: Caller, wishes: readonly Wish[]): Promise<Decision> {
    this.callers.push(caller)
    const names = wishes.map(
      ({ action, repository }) => `${action} ${repository === undefined ? '*' : repositoryKey(repository)}`,
    )
    this.asked.push(names.join(', '))
    return this.decision
  }

  async filterListable(
    _caller: Caller,
    repositories: Parameters<AccessControl['filterListable']>[1],
  ): ReturnType<AccessControl['filterListable']> {
    return repositories.filter(({ name }) => !name.includes('secret'))
  }
}

test('every request is decided once, by what it wants to do with which repository', async (t) => {
  const access = new ScriptedAccess()
  access.decision = { kind: 'forbidden', message: 'no' }
  const { port, resolver } = await startTestServer(t, { access })
  const acme = 'ghcr.io/acme/app'
  const table: [method: string, path: string, wishes: string][] = [
    ['GET', '/v2/', ''],
    ['GET', '/elsewhere', ''],
    ['GET', '/v2/UPPER/manifests/v1', ''],
    ['OPTIONS', `/v2/${acme}/manifests/v1`, ''],
    ['GET', '/v2/_catalog', 'list *'],
    ['GET', `/v2/${acme}/tags/list`, `list ${acme}`],
    ['GET', `/v2/${acme}/manifests/v1`, `pull ${acme}`],
    ['HEAD', `/v2/acme/app/manifests/${DIGEST}?ns=ghcr.io`, `pull ${acme}`],
    ['GET', `/v2/${acme}/blobs/${DIGEST}`, `pull ${acme}`],
    ['GET', `/v2/${acme}/referrers/${DIGEST}`, `pull ${acme}`],
    ['POST', `/v2/${acme}/blobs/uploads/`, `push ${acme}`],
    ['POST', `/v2/${acme}/blobs/uploads/?mount=${DIGEST}&from=quay.io/b`, `push ${acme}, pull quay.io/b`],
    ['POST', `/v2/${acme}/blobs/uploads/?mount=${DIGEST}&from=..`, `push ${acme}`],
    ['GET', `/v2/${acme}/blobs/uploads/${ID}`, `push ${acme}`],
    ['PATCH', `/v2/${acme}/blobs/uploads/${ID}`, `push ${acme}`],
    ['PUT', `/v2/${acme}/blobs/uploads/${ID}?digest=${DIGEST}`, `push ${acme}`],
    ['DELETE', `/v2/${acme}/blobs/uploads/${ID}`, `push ${acme}`],
    ['PUT', `/v2/${acme}/manifests/v1`, `push ${acme}`],
    ['PUT', `/v2/${acme}/manifests/${DIGEST}`, `push ${acme}`],
    ['DELETE', `/v2/${acme}/manifests/v1`, `delete ${acme}`],
    ['DELETE', `/v2/${acme}/manifests/${DIGEST}`, `delete ${acme}`],
    ['DELETE', `/v2/${acme}/blobs/${DIGEST}`, `delete ${acme}`],
  ]
  for (const [method, path, wishes] of table) {
    for (const request of [requestHttp1, requestHttp2]) {
      access.asked.length = 0
      const got = await request(port, path, { method })
      assert.equal(got.status, 403, `${method} ${path}`)
      if (method !== 'HEAD') assert.equal(errorCodeOf(got), 'DENIED')
      assert.deepEqual(access.asked, [wishes], `${method} ${path}`)
    }
  }
  assert.deepEqual(resolver.asked, [])
})

test('who may log in gets all challenges with a 401', async (t) => {
  const access = new ScriptedAccess()
  const challenges = ['Bearer realm="https://auth/token",service="leat"', 'Basic realm="leat"']
  access.decision = { kind: 'login', challenges, message: 'log in first' }
  const { port } = await startTestServer(t, { access })
  for (const request of [requestHttp1, requestHttp2]) {
    const got = await request(port, '/v2/')
    assert.equal(got.status, 401)
    assert.equal(got.headers['www-authenticate'], challenges.join(', '))
    assert.equal(errorCodeOf(got), 'UNAUTHORIZED')
    assert.match(got.body.toString(), /log in first/)
  }
})

test('after too many wrong logins the answer says when to come back, and makes no client try at once', async (t) => {
  const access = new ScriptedAccess()
  access.decision = { kind: 'slow-down', retryAfterMs: 12_500 }
  const { port } = await startTestServer(t, { access })
  const got = await requestHttp1(port, '/v2/alpine/manifests/latest')
  assert.equal(got.status, 403)
  assert.equal(got.headers['retry-after'], '13')
  assert.equal(got.headers['www-authenticate'], undefined)
})

test('an access control that fails answers with an error, and not with the content', async (t) => {
  const access = new ScriptedAccess()
  access.decide = () => Promise.reject(new Error('the rules cannot be read at /etc/secret'))
  const { port, resolver } = await startTestServer(t, { access })
  resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  const got = await requestHttp1(port, '/v2/alpine/manifests/latest')
  assert.equal(got.status, 502)
  assert.doesNotMatch(got.body.toString(), /secret/)
  assert.deepEqual(resolver.asked, [])
})

test('access control sees the login and the address of the client', async (t) => {
  const access = new ScriptedAccess()
  const { port } = await startTestServer(t, { access })
  for (const request of [requestHttp1, requestHttp2]) {
    access.callers.length = 0
    await request(port, '/v2/', { headers: { authorization: 'Basic YTpi' }, from: '127.0.0.2' })
    assert.deepEqual(access.callers, [
      { authorization: 'Basic YTpi', certificate: undefined, address: '127.0.0.2', isLocal: false },
    ])
  }
})

test('the catalog and the tags show what the client may list, on whatever machine it is', async (t) => {
  const access = new ScriptedAccess()
  const { port, resolver } = await startTestServer(t, { access })
  const secret = { registry: 'registry.corp', name: 'secret/app' }
  const open = { registry: 'registry.corp', name: 'open/app' }
  resolver.privateRegistries.add('registry.corp')
  for (const repository of [secret, open]) {
    resolver.putManifest(repository, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  }
  for (const from of ['127.0.0.1', '127.0.0.2']) {
    const catalog = await requestHttp1(port, '/v2/_catalog', { from })
    assert.deepEqual(JSON.parse(catalog.body.toString()).repositories, ['registry.corp/open/app'])
    assert.equal((await requestHttp1(port, '/v2/registry.corp/open/app/tags/list', { from })).status, 200)
    assert.equal((await requestHttp1(port, '/v2/registry.corp/secret/app/tags/list', { from })).status, 404)
  }
})
