import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRegistryUrl } from '../../src/oci/names/registry-url.ts'
import { locationAt, repositoryAt } from '../../src/redirects/location.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { fc, runs } from '../../testkit/property-runs.ts'

const DIGEST: Digest = digestOf(Buffer.from('x'))

function target(text: string) {
  const parsed = parseRegistryUrl(text)
  assert.ok(parsed !== undefined)
  return parsed
}

const PKG = target('https://us-docker.pkg.dev/v2/project/repo/')
const HUB = target('https://registry-1.docker.io/v2/')

test('a name on the host is one below the path of the registry URL', () => {
  assert.deepEqual(repositoryAt(PKG, 'app'), { registry: 'us-docker.pkg.dev', name: 'project/repo/app' })
  assert.deepEqual(repositoryAt(PKG, 'docker.io/app'), {
    registry: 'us-docker.pkg.dev',
    name: 'project/repo/docker.io/app',
  })
  assert.deepEqual(repositoryAt(HUB, 'alpine'), { registry: 'docker.io', name: 'library/alpine' })
  assert.deepEqual(repositoryAt(HUB, 'acme/app'), { registry: 'docker.io', name: 'acme/app' })
})

test('a text that is no name means no repository', () => {
  for (const name of [
    '',
    '..',
    'a/..',
    '../a',
    'A',
    'a//b',
    '/a',
    'a/',
    'a:b',
    'a@b',
    'a\\b',
    'a b',
    'a%2fb',
  ])
    assert.equal(repositoryAt(PKG, name), undefined, name)
  assert.equal(repositoryAt(PKG, 'a'.repeat(240)), undefined)
})

test('each endpoint has its location, with the query of the client but for ns', () => {
  const repository = { registry: 'us-docker.pkg.dev', name: 'project/repo/app' }
  const at = (wanted: Parameters<typeof locationAt>[2], query = '') =>
    locationAt(PKG, repository, wanted, query)
  const base = 'https://us-docker.pkg.dev/v2/project/repo/app'
  assert.equal(at({ kind: 'manifest', reference: 'v1' }), `${base}/manifests/v1`)
  assert.equal(at({ kind: 'blob', digest: DIGEST }), `${base}/blobs/${DIGEST}`)
  assert.equal(at({ kind: 'tags' }, 'n=2&last=v1'), `${base}/tags/list?n=2&last=v1`)
  assert.equal(
    at({ kind: 'referrers', digest: DIGEST }, 'artifactType=a%2Fb'),
    `${base}/referrers/${DIGEST}?artifactType=a%2Fb`,
  )
  assert.equal(at({ kind: 'tags' }, 'ns=x&n=1&%6es=y&ns'), `${base}/tags/list?n=1`)
  assert.equal(
    at({ kind: 'tags' }, 'n=1#@evil.test/\r\nX: y%zz'),
    `${base}/tags/list?n=1%23@evil.test/X:%20y%zz`,
  )
})

test('no query leads to another origin or path, or has a character that a header may not have', () => {
  const repository = { registry: 'us-docker.pkg.dev', name: 'project/repo/app' }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (query) => {
      const location = locationAt(PKG, repository, { kind: 'tags' }, query)
      assert.ok(
        /^https:\/\/us-docker\.pkg\.dev\/v2\/project\/repo\/app\/tags\/list(?:\?[!-~]*)?$/.test(location),
      )
    }),
    runs(200),
  )
})
