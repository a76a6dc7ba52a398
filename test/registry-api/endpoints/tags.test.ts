import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { ALPINE, errorCodeOf, requestHttp1, startTestServer, type TestServer } from '../test-server.ts'

async function tagsOf(
  { port }: TestServer,
  path: string,
): Promise<{ tags: string[]; name: string; link: string | undefined }> {
  const { status, headers, body } = await requestHttp1(port, path)
  assert.equal(status, 200)
  assert.equal(headers['content-length'], String(body.length))
  const link = headers['link']
  return { ...JSON.parse(body.toString()), link: typeof link === 'string' ? link : undefined }
}

test('tags are listed in ASCII order, in pages that link to the next', async (t) => {
  const server = await startTestServer(t)
  server.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'b', 'a', 'C', '1.0', 'a-b')
  const all = await tagsOf(server, '/v2/alpine/tags/list')
  assert.deepEqual(all, { name: 'alpine', tags: ['1.0', 'C', 'a', 'a-b', 'b'], link: undefined })

  const seen: string[] = []
  let path: string | undefined = '/v2/docker.io/library/alpine/tags/list?n=2'
  while (path !== undefined) {
    const { tags, link } = await tagsOf(server, path)
    assert.ok(tags.length <= 2)
    seen.push(...tags)
    path = link === undefined ? undefined : /^<(\/v2\/[^>]+)>; rel="next"$/.exec(link)?.[1]
  }
  assert.deepEqual(seen, all.tags)
  assert.deepEqual((await tagsOf(server, '/v2/alpine/tags/list?last=a')).tags, ['a-b', 'b'])
  assert.deepEqual((await tagsOf(server, '/v2/alpine/tags/list?n=0')).tags, [])
  assert.equal((await tagsOf(server, '/v2/alpine/tags/list?n=0')).link, undefined)
})

test('the link to the next page keeps the ns parameter', async (t) => {
  const server = await startTestServer(t)
  const at = { registry: 'localhost:5000', name: 'app' }
  server.resolver.putManifest(at, Buffer.from('{}'), OCI_MANIFEST, 'a', 'b')
  const { link } = await tagsOf(server, '/v2/app/tags/list?ns=localhost%3A5000&n=1')
  assert.equal(link, '</v2/app/tags/list?ns=localhost%3A5000&n=1&last=a>; rel="next"')
})

test('an invalid n is 400, an unknown repository is 404', async (t) => {
  const server = await startTestServer(t)
  server.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'a')
  const wrong = await requestHttp1(server.port, '/v2/alpine/tags/list?n=-1')
  assert.equal(wrong.status, 400)
  assert.equal(errorCodeOf(wrong), 'PAGINATION_NUMBER_INVALID')
  const unknown = await requestHttp1(server.port, '/v2/none/tags/list')
  assert.equal(unknown.status, 404)
  assert.equal(errorCodeOf(unknown), 'NAME_UNKNOWN')
})
