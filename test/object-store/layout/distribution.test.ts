import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import { digestOf } from '../../../src/oci/digest.ts'

const digest = digestOf(Buffer.from('content'))
const hex = digest.slice('sha256:'.length)
const app = { registry: 'localhost:5000', name: 'acme/app' }

test('the registry is the first part of each name, with its port as in the paths of podman', () => {
  const layout = new DistributionLayout({ registry: undefined })
  const folder = 'docker/registry/v2/repositories/localhost__5000/acme/app/'
  assert.deepEqual(layout.contentKeys({ digest, kind: 'blob', repository: app }), {
    data: `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`,
    link: `${folder}_layers/sha256/${hex}/link`,
    isWrapped: false,
  })
  assert.equal(
    layout.contentKeys({ digest, kind: 'manifest', repository: app })?.link,
    `${folder}_manifests/revisions/sha256/${hex}/link`,
  )
  assert.equal(layout.tagKey(app, '1.0'), `${folder}_manifests/tags/1.0/current/link`)
})

test('a bucket of one registry has no keys for repositories of another one', () => {
  const layout = new DistributionLayout({ registry: 'localhost:5000' })
  assert.equal(layout.repositoryFolder(app), 'docker/registry/v2/repositories/acme/app/')
  assert.equal(
    layout.contentKeys({ digest, kind: 'blob', repository: { ...app, registry: 'ghcr.io' } }),
    undefined,
  )
})

test('a tag is read only if its link is a digest', () => {
  const layout = new DistributionLayout({ registry: undefined })
  assert.equal(layout.parseTag(`${digest}\n`), digest)
  assert.equal(layout.parseTag('latest'), undefined)
})
