import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EverybodyAccess } from '../../src/access/everybody-access.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { clientOf } from '../../src/registry-api/connections/client.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'
import {
  ALPINE,
  errorCodeOf,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
} from '../registry-api/test-server.ts'

const PRIVATE = { registry: 'registry.corp', name: 'team/app' }
const REMOTE = { from: '127.0.0.2' }

async function startWithPrivateRepository(
  t: Parameters<typeof startTestServer>[0],
  allow?: readonly string[],
): Promise<TestServer> {
  const server = await startTestServer(t, allow && { allow })
  server.resolver.privateRegistries.add(PRIVATE.registry)
  server.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  server.resolver.putManifest(PRIVATE, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  return server
}

test('private repositories are visible to local clients only, and the order stays', async () => {
  const resolver = new MemoryResolver()
  resolver.privateRegistries.add(PRIVATE.registry)
  const other = { registry: 'ghcr.io', name: 'acme/app' }
  const all = [PRIVATE, other, { ...PRIVATE, name: 'a' }, ALPINE]
  const seenFrom = (address: string | undefined) => {
    const client = clientOf(address)
    const caller = { ...client, authorization: undefined, certificate: undefined }
    return new EverybodyAccess((repository) => resolver.isPrivate(repository)).filterListable(caller, all)
  }
  assert.deepEqual(await seenFrom('127.0.0.1'), all)
  for (const address of ['10.0.0.1', undefined]) assert.deepEqual(await seenFrom(address), [other, ALPINE])
})

test('the catalog lists private repositories for local clients only', async (t) => {
  const { port } = await startWithPrivateRepository(t)
  for (const request of [requestHttp1, requestHttp2]) {
    const local = await request(port, '/v2/_catalog')
    assert.deepEqual(JSON.parse(local.body.toString()).repositories, [
      'docker.io/library/alpine',
      'registry.corp/team/app',
    ])
    const remote = await request(port, '/v2/_catalog', REMOTE)
    assert.deepEqual(JSON.parse(remote.body.toString()).repositories, ['docker.io/library/alpine'])
    // No page may reveal that there is another repository.
    const page = await request(port, '/v2/_catalog?n=1', REMOTE)
    assert.equal(page.headers['link'], undefined)
  }
})

test('tags of private repositories are listed for local clients only', async (t) => {
  const { port, resolver } = await startWithPrivateRepository(t)
  const path = '/v2/registry.corp/team/app/tags/list'
  for (const request of [requestHttp1, requestHttp2]) {
    assert.deepEqual(JSON.parse((await request(port, path)).body.toString()).tags, ['v1'])
    resolver.asked.length = 0
    const remote = await request(port, path, REMOTE)
    assert.equal(remote.status, 404)
    assert.equal(errorCodeOf(remote), 'NAME_UNKNOWN')
    assert.match(remote.body.toString(), /the tags of this repository are not listed for this client/)
    const none = await request(port, '/v2/registry.corp/none/tags/list', REMOTE)
    assert.deepEqual(none.body, remote.body)
    assert.deepEqual(resolver.asked, [])
    assert.equal((await request(port, '/v2/alpine/tags/list', REMOTE)).status, 200)
    assert.equal((await request(port, '/v2/registry.corp/team/app/manifests/v1', REMOTE)).status, 200)
  }
})

test('repositories that are not allowed are listed for no client', async (t) => {
  const { port } = await startWithPrivateRepository(t, ['docker.io/**'])
  for (const from of ['127.0.0.1', '127.0.0.2']) {
    const { body } = await requestHttp1(port, '/v2/_catalog', { from })
    assert.deepEqual(JSON.parse(body.toString()).repositories, ['docker.io/library/alpine'])
    const tags = await requestHttp1(port, '/v2/registry.corp/team/app/tags/list', { from })
    assert.match(tags.body.toString(), /allow list does not include the repository/)
  }
})
