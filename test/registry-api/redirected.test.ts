import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { AccessControl } from '../../src/ports/access.ts'
import { ConfiguredRedirects } from '../../src/redirects/redirects.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { errorCodeOf, requestHttp1, requestHttp2, sendRaw, startTestServer } from './test-server.ts'

const PARTS = { userAgent: 'leat/test', proxies: undefined }
const DIGEST = digestOf(Buffer.from('x'))
const HOST = 'images.example.dev'
const TO = 'https://us-docker.pkg.dev/v2/project/repo/'
const APP = { registry: 'us-docker.pkg.dev', name: 'project/repo/app' }
const to = () => new ConfiguredRedirects([{ host: HOST, to: TO }], PARTS)
const serving = () => new ConfiguredRedirects([{ host: HOST, to: TO, mode: 'serve' }], PARTS)
const headers = { host: HOST }

test('/v2/ of a redirected host answers 200 with the version of the API', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  const answer = await requestHttp1(port, '/v2/', { headers })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
})

test('manifests, blobs, tags and referrers are redirected with 307, for GET and HEAD, in both protocols', async (t) => {
  const { port, resolver } = await startTestServer(t, { redirects: to() })
  const paths = [
    'app/manifests/v1',
    `app/manifests/${DIGEST}`,
    `app/blobs/${DIGEST}`,
    'app/tags/list?n=2&last=x',
    `app/referrers/${DIGEST}?artifactType=a`,
  ]
  for (const path of paths) {
    for (const method of ['GET', 'HEAD']) {
      const one = await requestHttp1(port, `/v2/${path}`, { method, headers })
      const two = await requestHttp2(port, `/v2/${path}`, {
        method,
        headers: { ':authority': `${HOST}:443` },
      })
      for (const { status, headers, body } of [one, two]) {
        assert.deepEqual([status, headers['location'], body.length], [307, `${TO}${path}`, 0], path)
      }
    }
  }
  assert.deepEqual(resolver.asked, [])
})

test('other hosts, and requests of a mirror, are answered as ever', async (t) => {
  const { port, resolver } = await startTestServer(t, { redirects: to() })
  resolver.putManifest({ registry: 'docker.io', name: 'library/app' }, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  const other = await requestHttp1(port, '/v2/app/manifests/v1', { headers: { host: 'example.dev' } })
  const mirror = await requestHttp1(port, '/v2/library/app/manifests/v1?ns=docker.io', { headers })
  assert.deepEqual([other.status, mirror.status], [200, 200])
})

test('with mode serve the answers are those of the agent, under the name that the client has used', async (t) => {
  const { port, resolver } = await startTestServer(t, { redirects: serving() })
  resolver.putManifest(APP, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  const blob = resolver.putBlob(APP, Buffer.from('blob'))
  const manifest = await requestHttp1(port, '/v2/app/manifests/v1', { headers })
  const content = await requestHttp1(port, `/v2/app/blobs/${blob}`, { headers })
  const tags = await requestHttp1(port, '/v2/app/tags/list?n=1', { headers })
  assert.deepEqual([manifest.status, manifest.body.toString()], [200, '{}'])
  assert.deepEqual([content.status, content.body.toString()], [200, 'blob'])
  assert.deepEqual(JSON.parse(tags.body.toString()), { name: 'app', tags: ['v1'] })
})

test('what allow does not have is 404, by the name at the registry', async (t) => {
  const { port } = await startTestServer(t, {
    redirects: to(),
    allow: ['us-docker.pkg.dev/project/repo/app'],
  })
  const allowed = await requestHttp1(port, '/v2/app/manifests/v1', { headers })
  const other = await requestHttp1(port, '/v2/other/manifests/v1', { headers })
  assert.deepEqual([allowed.status, other.status, errorCodeOf(other)], [307, 404, 'NAME_UNKNOWN'])
  assert.equal(other.headers.location, undefined)
})

test('other methods than GET and HEAD get 405', async (t) => {
  const { port } = await startTestServer(t, { redirects: serving() })
  const table = [
    ['POST', '/v2/app/blobs/uploads/'],
    ['PUT', '/v2/app/manifests/v1'],
    ['DELETE', `/v2/app/manifests/${DIGEST}`],
    ['PATCH', '/v2/'],
    ['POST', '/'],
    ['OPTIONS', '/healthz'],
  ] as const
  for (const [method, path] of table) {
    const answer = await requestHttp1(port, path, { method, headers })
    assert.deepEqual([answer.status, answer.headers['allow']], [405, 'GET, HEAD'], `${method} ${path}`)
  }
})

test('the catalog and uploads do not exist on a redirected host', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  for (const path of ['/v2/_catalog', `/v2/app/blobs/uploads/${'0'.repeat(32)}`, '/x']) {
    assert.equal((await requestHttp1(port, path, { headers })).status, 404, path)
  }
})

test('no path and no header leads anywhere but to the registry', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  const paths = [
    '/v2/../../evil.test/manifests/v1',
    '/v2/app/../../../evil/manifests/v1',
    '/v2/%2e%2e/%2e%2e/evil/manifests/v1',
    '/v2/app%2f..%2fevil/manifests/v1',
    '/v2//evil.test/manifests/v1',
    '/v2/@evil.test/manifests/v1',
    '/v2/app/manifests/..',
    '/v2/app/manifests/%2e%2e',
    '/v2/app/manifests/v1%2f..%2f..',
    '/v2/app/manifests/v1%0d%0aLocation:%20https://evil.test',
    '/v2/app/blobs/sha256:..',
    '/v2/app\\evil/manifests/v1',
    '//evil.test/v2/app/manifests/v1',
    '/v2/app/manifests/v1/../../../../x',
  ]
  for (const path of paths) {
    const answer = await sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 40[04] /, path)
    assert.ok(!/^location:/im.test(answer), path)
  }
  const slash = await requestHttp1(port, '/v2/team%2fapp/manifests/v1', { headers })
  assert.equal(slash.headers.location, `${TO}team/app/manifests/v1`)
  const forged = { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'http', forwarded: 'host=evil.test' }
  const answer = await requestHttp1(port, '/v2/app/manifests/v1', { headers: { ...headers, ...forged } })
  assert.equal(answer.headers.location, `${TO}app/manifests/v1`)
  const absolute = `GET http://evil.test/v2/app/manifests/v1 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`
  assert.match(
    await sendRaw(port, absolute),
    /\r\nlocation: https:\/\/us-docker\.pkg\.dev\/v2\/project\/repo\/app\/manifests\/v1\r\n/i,
  )
})

test('a query with characters that a header may not have is encoded', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  const { status, headers: sent } = await requestHttp2(port, '/v2/app/tags/list?last="<>', {
    headers: { ':authority': HOST },
  })
  assert.equal(status, 307)
  assert.match(
    sent.location ?? '',
    /^https:\/\/us-docker\.pkg\.dev\/v2\/project\/repo\/app\/tags\/list\?last=[!-~]+$/,
  )
})

test('the page is at / of a redirected host, with a policy that allows no script', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  await requestHttp1(port, '/v2/team/app/manifests/v1', { headers })
  const page = await requestHttp1(port, '/', { headers })
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/)
  assert.match(page.body.toString(), /docker pull images\.example\.dev\/team\/app:TAG/)
  assert.equal((await requestHttp1(port, '/')).status, 404)
})

test('/healthz answers on every host of a port with redirects, and on no other port', async (t) => {
  const { port } = await startTestServer(t, { redirects: to() })
  const { port: other } = await startTestServer(t)
  const [own, any] = [await requestHttp1(port, '/healthz', { headers }), await requestHttp1(port, '/healthz')]
  assert.deepEqual([own.status, own.body.toString(), any.status], [200, 'ok\n', 200])
  assert.equal((await requestHttp1(other, '/healthz')).status, 404)
})

test('a client that may not pull is refused before it is sent on, and the page asks for the right to list', async (t) => {
  const asked: string[] = []
  const access: AccessControl = {
    async decide(_caller, wishes) {
      asked.push(...wishes.map(({ action, repository }) => `${action} ${repository?.name}`))
      return { kind: 'forbidden', message: 'no' }
    },
    async filterListable() {
      return []
    },
  }
  const { port } = await startTestServer(t, { redirects: to(), access })
  const statuses = []
  for (const path of ['/v2/app/manifests/v1', '/', '/v2/', '/healthz'])
    statuses.push((await requestHttp1(port, path, { headers })).status)
  assert.deepEqual(statuses, [403, 403, 403, 200])
  assert.deepEqual(asked, ['pull project/repo/app', 'list undefined'])
})
