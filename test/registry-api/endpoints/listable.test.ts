import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { clientOf } from '../../../src/registry-api/connections/client.ts'
import { listable } from '../../../src/registry-api/endpoints/listable.ts'
import { MemoryResolver } from '../../../testkit/memory/memory-resolver.ts'
import {
  ALPINE,
  errorCodeOf,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
} from '../test-server.ts'

const SECRET = { registry: 'registry.corp', name: 'team/app' }
const OUTSIDE = { from: '127.0.0.2' }

async function openPrivate(
  t: Parameters<typeof startTestServer>[0],
  allow?: readonly string[],
): Promise<TestServer> {
  const door = await startTestServer(t, allow && { allow })
  door.resolver.privateRegistries.add(SECRET.registry)
  door.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  door.resolver.putManifest(SECRET, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  return door
}

test('private repositories are for clients on this machine, in the order they had', async () => {
  const resolver = new MemoryResolver()
  resolver.privateRegistries.add(SECRET.registry)
  const other = { registry: 'ghcr.io', name: 'acme/app' }
  const all = [SECRET, other, { ...SECRET, name: 'a' }, ALPINE]
  assert.deepEqual(await listable(all, clientOf('127.0.0.1'), resolver), all)
  for (const address of ['10.0.0.1', undefined]) {
    assert.deepEqual(await listable(all, clientOf(address), resolver), [other, ALPINE])
  }
})

test('the catalog names private repositories only to clients on this machine', async (t) => {
  const { port } = await openPrivate(t)
  for (const request of [requestHttp1, requestHttp2]) {
    const here = await request(port, '/v2/_catalog')
    assert.deepEqual(JSON.parse(here.body.toString()).repositories, [
      'docker.io/library/alpine',
      'registry.corp/team/app',
    ])
    const there = await request(port, '/v2/_catalog', OUTSIDE)
    assert.deepEqual(JSON.parse(there.body.toString()).repositories, ['docker.io/library/alpine'])
    // No page tells that there is one more.
    const page = await request(port, '/v2/_catalog?n=1', OUTSIDE)
    assert.equal(page.headers['link'], undefined)
  }
})

test('tags of private repositories are listed only to clients on this machine', async (t) => {
  const { port, resolver } = await openPrivate(t)
  const path = '/v2/registry.corp/team/app/tags/list'
  for (const request of [requestHttp1, requestHttp2]) {
    assert.deepEqual(JSON.parse((await request(port, path)).body.toString()).tags, ['v1'])
    resolver.asked.length = 0
    const there = await request(port, path, OUTSIDE)
    assert.equal(there.status, 404)
    assert.equal(errorCodeOf(there), 'NAME_UNKNOWN')
    assert.match(
      there.body.toString(),
      /tags of private repositories are listed only to clients on this machine/,
    )
    const none = await request(port, '/v2/registry.corp/none/tags/list', OUTSIDE)
    assert.deepEqual(none.body, there.body)
    assert.deepEqual(resolver.asked, [])
    assert.equal((await request(port, '/v2/alpine/tags/list', OUTSIDE)).status, 200)
    assert.equal((await request(port, '/v2/registry.corp/team/app/manifests/v1', OUTSIDE)).status, 200)
  }
})

test('what is not allowed is listed to nobody', async (t) => {
  const { port } = await openPrivate(t, ['docker.io/**'])
  for (const from of ['127.0.0.1', '127.0.0.2']) {
    const { body } = await requestHttp1(port, '/v2/_catalog', { from })
    assert.deepEqual(JSON.parse(body.toString()).repositories, ['docker.io/library/alpine'])
    const tags = await requestHttp1(port, '/v2/registry.corp/team/app/tags/list', { from })
    assert.match(tags.body.toString(), /not to serve this repository/)
  }
})
