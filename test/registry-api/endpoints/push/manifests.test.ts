import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Events, subscribe } from '../../../../src/observe/events.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../../src/oci/media-types.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import {
  PROTOCOLS,
  pushBlob,
  pushImage,
  pushManifest,
  sampleImage,
  startHostedServer,
} from '../../hosted-server.ts'
import { errorCodeOf, requestHttp1, sendRaw } from '../../test-server.ts'

for (const [protocol, send] of PROTOCOLS) {
  test(`an image is pushed by tag over ${protocol}, and pulled by tag and by digest`, async (t) => {
    const { port, resolver } = await startHostedServer(t)
    const image = sampleImage()
    const digest = digestOf(image.manifest)
    const pushed = await pushImage(port, 'team/app', 'v1', image, send)
    assert.equal(pushed.status, 201, pushed.body.toString())
    assert.equal(pushed.headers.location, `/v2/team/app/manifests/${digest}`)
    assert.equal(pushed.headers['docker-content-digest'], digest)
    assert.equal(pushed.headers['oci-tag'], 'v1')
    assert.equal(pushed.headers['oci-subject'], undefined)
    for (const reference of ['v1', digest]) {
      const pulled = await send(port, `/v2/team/app/manifests/${reference}`)
      assert.equal(pulled.status, 200)
      assert.deepEqual(pulled.body, image.manifest)
      assert.equal(pulled.headers['content-type'], OCI_MANIFEST)
      assert.equal(pulled.headers['docker-content-digest'], digest)
    }
    assert.deepEqual(resolver.asked, [])
  })
}

test('several tags are set at once, and all of them are told', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  const digest = digestOf(image.manifest)
  const query = ['1.2.3', '1.2', '1', 'latest'].map((tag) => `tag=${tag}`).join('&')
  const pushed = await pushManifest(port, 'team/app', `${digest}?${query}`, image.manifest)
  assert.equal(pushed.status, 201)
  assert.equal(pushed.headers['oci-tag'], '1.2.3, 1.2, 1, latest')
  const tags = await requestHttp1(port, '/v2/team/app/tags/list')
  assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['1', '1.2', '1.2.3', 'latest', 'v1'])
})

test('a manifest is stored as it is sent, whatever parameters its type has', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  const spaced = Buffer.from(JSON.stringify(JSON.parse(image.manifest.toString()), null, 3))
  const pushed = await pushManifest(port, 'team/app', 'v2', spaced, {
    type: `${OCI_MANIFEST}; charset=utf-8`,
  })
  assert.equal(pushed.status, 201, pushed.body.toString())
  const pulled = await requestHttp1(port, '/v2/team/app/manifests/v2')
  assert.deepEqual(pulled.body, spaced)
  assert.equal(pulled.headers['content-type'], OCI_MANIFEST)
})

test('a manifest whose parts are missing is refused, and the error names them', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushBlob(port, 'team/app', image.config)
  const refused = await pushManifest(port, 'team/app', 'v1', image.manifest)
  assert.equal(refused.status, 400)
  assert.equal(errorCodeOf(refused), 'MANIFEST_BLOB_UNKNOWN')
  assert.deepEqual(JSON.parse(refused.body.toString()).errors[0].detail, { missing: [digestOf(image.layer)] })
  assert.equal((await requestHttp1(port, '/v2/team/app/manifests/v1')).status, 404)
})

test('what is no manifest is refused', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  const other = digestOf(Buffer.from('other'))
  const table: [reference: string, body: Buffer, type: string, code: string][] = [
    ['v1', Buffer.from('{'), OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['v1', Buffer.alloc(0), OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['v1', Buffer.from('[]'), OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['v1', image.manifest, 'no type', 'MANIFEST_INVALID'],
    ['v1', image.manifest, OCI_INDEX, 'MANIFEST_INVALID'],
    [other, image.manifest, OCI_MANIFEST, 'DIGEST_INVALID'],
    ['v1?tag=..', image.manifest, OCI_MANIFEST, 'MANIFEST_INVALID'],
  ]
  for (const [reference, body, type, code] of table) {
    const refused = await pushManifest(port, 'team/app', reference, body, { type })
    assert.equal(refused.status, 400, `${reference} ${type}`)
    assert.equal(errorCodeOf(refused), code, `${reference} ${type}`)
  }
})

test('a manifest of 4 MiB is taken, and a larger one gets 413, also when its length is not declared', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  const padded = (bytes: number): Buffer => {
    const text = JSON.stringify({ ...JSON.parse(image.manifest.toString()), annotations: { pad: '' } })
    return Buffer.from(text.replace('"pad":""', `"pad":"${'x'.repeat(bytes - text.length)}"`))
  }
  const most = padded(4 * 1024 * 1024)
  assert.equal((await pushManifest(port, 'team/app', 'large', most)).status, 201)
  const larger = padded(4 * 1024 * 1024 + 1)
  const declared = await pushManifest(port, 'team/app', 'larger', larger)
  assert.equal(declared.status, 413)
  assert.equal(errorCodeOf(declared), 'SIZE_INVALID')
  const chunked = await sendRaw(
    port,
    Buffer.concat([
      Buffer.from(
        `PUT /v2/team/app/manifests/larger HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${OCI_MANIFEST}\r\n` +
          `Transfer-Encoding: chunked\r\n\r\n${larger.length.toString(16)}\r\n`,
      ),
      larger,
      Buffer.from('\r\n0\r\n\r\n'),
    ]),
  )
  assert.match(chunked, /^HTTP\/1\.1 413 /)
  assert.equal((await requestHttp1(port, '/v2/team/app/manifests/larger')).status, 404)
})

test('a manifest with a subject is a referrer of it, also before the subject is there', async (t) => {
  const { port } = await startHostedServer(t)
  const subject = sampleImage('subject')
  const digest = digestOf(subject.manifest)
  const signature = sampleImage('signature', {
    artifactType: 'application/vnd.example.signature',
    subject: { mediaType: OCI_MANIFEST, digest, size: subject.manifest.length },
    annotations: { key: 'value' },
  })
  const pushed = await pushImage(port, 'team/app', 'signed', signature)
  assert.equal(pushed.status, 201, pushed.body.toString())
  assert.equal(pushed.headers['oci-subject'], digest)
  const found = await requestHttp1(port, `/v2/team/app/referrers/${digest}`)
  assert.equal(found.status, 200)
  const [first, ...others] = JSON.parse(found.body.toString()).manifests
  assert.deepEqual(others, [])
  assert.equal(first.digest, digestOf(signature.manifest))
  assert.equal(first.artifactType, 'application/vnd.example.signature')
  assert.deepEqual(first.annotations, { key: 'value' })
})

test('a push is published with its tags', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  const events: Events['hosted.pushed'][] = []
  t.after(subscribe('hosted.pushed', (event) => events.push(event)))
  await pushImage(port, 'team/app', 'v1', image)
  assert.deepEqual(events, [
    {
      repository: { registry: 'localhost', name: 'team/app' },
      digest: digestOf(image.manifest),
      mediaType: OCI_MANIFEST,
      size: image.manifest.length,
      tags: ['v1'],
      client: '127.0.0.1',
    },
  ])
})
