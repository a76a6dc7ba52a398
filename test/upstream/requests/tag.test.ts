import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { Fault } from '../../../testkit/registries/faulty/faults.ts'
import { open } from '../opened.ts'

const { signal } = new AbortController()

const INSUFFICIENT_HEADS: readonly Fault[] = [
  { status: 405 },
  { status: 400 },
  { status: 501 },
  { headers: { 'docker-content-digest': '' } },
]

test('a tag is requested with HEAD', async (t) => {
  const { server, upstreams, repository } = await open(t)
  const { manifest } = server.addImage('team/app', 'v1')
  const head = await upstreams.tag(repository, 'v1', { signal })
  assert.equal(head.digest, manifest)
  assert.equal(head.mediaType, OCI_MANIFEST)
  assert.deepEqual(
    server.requests.map(({ method }) => method),
    ['HEAD'],
  )
  assert.match(server.requests[0]?.headers.accept ?? '', /oci\.image\.index/)
})

test('HEAD requests share a connection', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addImage('team/app', 'v1')
  for (let i = 0; i < 3; i += 1) {
    await upstreams.tag(repository, 'v1', { signal })
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.deepEqual(
    server.requests.map(({ connection }) => connection),
    [0, 0, 0],
  )
})

for (const fault of INSUFFICIENT_HEADS) {
  test(`after a HEAD with ${JSON.stringify(fault)}, the digest is computed from the manifest`, async (t) => {
    const { server, upstreams, repository } = await open(t)
    const { manifest } = server.addImage('team/app', 'v1')
    server.fault('v1', { ...fault, method: 'HEAD' })
    server.fault('v1', { headers: { 'docker-content-digest': sha256('a lie') }, method: 'GET' })
    assert.equal((await upstreams.tag(repository, 'v1', { signal })).digest, manifest)
  })
}

test('an invalid digest in a header is a failure', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addImage('team/app', 'v1')
  server.fault('v1', { headers: { 'docker-content-digest': 'sha256:short' } })
  await assert.rejects(upstreams.tag(repository, 'v1', { signal }), { code: 'unavailable' })
})

test('a tag that does not exist is absent, after one request', async (t) => {
  const { server, upstreams, repository } = await open(t)
  await assert.rejects(upstreams.tag(repository, 'v1', { signal }), { code: 'absent' })
  assert.equal(server.requests.length, 1)
})

test('a tag with a schema 1 manifest is unsupported', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addManifest('team/app', 'old', '{}', 'application/vnd.docker.distribution.manifest.v1+prettyjws')
  await assert.rejects(upstreams.tag(repository, 'old', { signal }), { code: 'unsupported' })
})
