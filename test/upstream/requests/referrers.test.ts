import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDigest } from '../../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { Fault } from '../../../testkit/registries/faulty/faults.ts'
import { open } from '../opened.ts'

const { signal } = new AbortController()

const descriptorsOf = (bytes: Uint8Array) => {
  const index = JSON.parse(Buffer.from(bytes).toString())
  assert.equal(index.schemaVersion, 2)
  assert.equal(index.mediaType, OCI_INDEX)
  return index.manifests
}

test('referrers are read from the API of a registry that has it', async (t) => {
  const { server, upstreams, repository } = await open(t)
  const { manifest } = server.addImage('team/app', 'v1')
  const signature = server.addManifest(
    'team/app',
    undefined,
    JSON.stringify({ schemaVersion: 2, artifactType: 'a/signature', subject: { digest: manifest } }),
  )
  const [descriptor] = descriptorsOf(await upstreams.referrers(repository, manifest, { signal }))
  assert.deepEqual([descriptor.digest, descriptor.artifactType], [signature, 'a/signature'])
})

test('without the API, referrers are read from the fallback tag, and without that tag there are none', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.referrersApi = false
  const { manifest } = server.addImage('team/app', 'v1')
  assert.deepEqual(descriptorsOf(await upstreams.referrers(repository, manifest, { signal })), [])
  const descriptor = { mediaType: OCI_MANIFEST, digest: sha256('s'), size: 1, annotations: { a: 'b' } }
  server.addManifest(
    'team/app',
    manifest.replace(':', '-'),
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] }),
    OCI_INDEX,
  )
  assert.deepEqual(descriptorsOf(await upstreams.referrers(repository, manifest, { signal })), [descriptor])
})

test('a sha512 subject has a fallback tag of 64 digits', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.referrersApi = false
  const subject = parseDigest(`sha512:${'ab'.repeat(64)}`)
  assert.ok(subject)
  await upstreams.referrers(repository, subject, { signal })
  assert.equal(server.count(`manifests/sha512-${'ab'.repeat(32)}`), 1)
})

for (const fault of [{ status: 500 }, { status: 429 }, { status: 403 }, { dieAt: 0 }] as Fault[]) {
  test(`a failed request for referrers (${JSON.stringify(fault)}) is a failure, not an empty list`, async (t) => {
    const { server, upstreams, repository } = await open(t)
    const { manifest } = server.addImage('team/app', 'v1')
    server.fault(manifest, fault)
    await assert.rejects(upstreams.referrers(repository, manifest, { signal }), Failure)
    server.heal()
    server.referrersApi = false
    server.addManifest('team/app', manifest.replace(':', '-'), '{}', OCI_INDEX)
    server.fault(manifest.replace(':', '-'), fault)
    await assert.rejects(upstreams.referrers(repository, manifest, { signal }), Failure)
  })
}
