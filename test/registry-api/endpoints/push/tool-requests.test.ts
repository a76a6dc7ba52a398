import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GarbageCollection } from '../../../../src/hosted/garbage/garbage-collection.ts'
import { Retention } from '../../../../src/hosted/garbage/retention.ts'
import { SharedLocks } from '../../../../src/lib/async/shared-locks.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../../src/oci/media-types.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { tick } from '../../../store/stored-blobs.ts'
import {
  type HostedServer,
  PROTOCOLS,
  pushBlob,
  pushImage,
  pushManifest,
  sampleImage,
  startHostedServer,
} from '../../hosted-server.ts'
import { requestHttp1 } from '../../test-server.ts'

/** The requests of tools that push more than images, as cosign 2 and BuildKit send them. */

const APP = 'team/app'
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json'
const DSSE = 'application/vnd.dsse.envelope.v1+json'
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const EMPTY = Buffer.from('{}')

function descriptor(mediaType: string, bytes: Uint8Array, more: object = {}) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...more }
}

/** What cosign signs, or attests, of an image. */
function signedLayer(image: Uint8Array, mediaType: string) {
  const bytes = Buffer.from(JSON.stringify({ critical: { image: { digest: digestOf(image) } }, mediaType }))
  const annotations = { 'dev.cosignproject.cosign/signature': 'MEUCIQ==' }
  return { bytes, described: descriptor(mediaType, bytes, { annotations }) }
}

async function collectGarbage({ store }: HostedServer): Promise<void> {
  await tick()
  const collection = new GarbageCollection(store, new SharedLocks(), new Retention([], 0))
  const signal = AbortSignal.timeout(60_000)
  for await (const _ of collection.collect({ isDryRun: false, signal })) {
    // Each line is something that has gone.
  }
}

for (const [protocol, send] of PROTOCOLS) {
  test(`a signature and an attestation are found by the tag that names the digest, over ${protocol}`, async (t) => {
    const server = await startHostedServer(t)
    const { port } = server
    const image = sampleImage()
    await pushImage(port, APP, 'v1', image, send)
    const hex = digestOf(image.manifest).slice('sha256:'.length)
    for (const [suffix, type] of [
      ['sig', SIMPLE_SIGNING],
      ['att', DSSE],
    ] as const) {
      const path = `/v2/${APP}/manifests/sha256-${hex}.${suffix}`
      // cosign asks first what is there, and adds to it.
      assert.equal((await send(port, path)).status, 404)
      const layer = signedLayer(image.manifest, type)
      const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] } }))
      for (const blob of [layer.bytes, config])
        assert.equal((await pushBlob(port, APP, blob, send)).status, 201)
      const manifest = Buffer.from(
        JSON.stringify({
          ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
          ...{ config: descriptor(CONFIG, config), layers: [layer.described] },
        }),
      )
      assert.equal((await pushManifest(port, APP, `sha256-${hex}.${suffix}`, manifest, { send })).status, 201)
      const found = await send(port, path)
      assert.deepEqual(found.body, manifest)
      assert.deepEqual((await send(port, `/v2/${APP}/blobs/${layer.described.digest}`)).body, layer.bytes)
    }
  })

  test(`a signature that refers to its image is found by the referrers of the image, over ${protocol}`, async (t) => {
    const server = await startHostedServer(t)
    const { port } = server
    const image = sampleImage()
    await pushImage(port, APP, 'v1', image, send)
    const bundle = Buffer.from(JSON.stringify({ mediaType: BUNDLE, dsseEnvelope: {} }))
    for (const blob of [EMPTY, bundle]) await pushBlob(port, APP, blob, send)
    const manifest = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: BUNDLE },
        config: descriptor('application/vnd.oci.empty.v1+json', EMPTY),
        layers: [descriptor(BUNDLE, bundle)],
        subject: descriptor(OCI_MANIFEST, image.manifest),
        annotations: { 'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1' },
      }),
    )
    const digest = digestOf(manifest)
    const pushed = await pushManifest(port, APP, digest, manifest, { send })
    assert.deepEqual([pushed.status, pushed.headers['oci-subject']], [201, digestOf(image.manifest)])
    const query = `?artifactType=${encodeURIComponent(BUNDLE)}`
    const referrers = await send(port, `/v2/${APP}/referrers/${digestOf(image.manifest)}${query}`)
    assert.equal(referrers.headers['oci-filters-applied'], 'artifactType')
    const { manifests } = JSON.parse(referrers.body.toString()) as { manifests: { digest: string }[] }
    assert.deepEqual(
      manifests.map((one) => one.digest),
      [digest],
    )
    // It has no tag, and stays because its image has one.
    await collectGarbage(server)
    assert.deepEqual((await send(port, `/v2/${APP}/manifests/${digest}`)).body, manifest)
    assert.deepEqual((await send(port, `/v2/${APP}/blobs/${digestOf(bundle)}`)).body, bundle)
  })
}

test('the cache of BuildKit, an index of blobs, is pushed again and again, and outlives a collection', async (t) => {
  const server = await startHostedServer(t)
  const { port } = server
  const layers = [1, 2, 3].map((n) => Buffer.from(`layer ${n}`))
  const head = (digest: string) => requestHttp1(port, `/v2/${APP}/blobs/${digest}`, { method: 'HEAD' })
  for (const count of [2, 3]) {
    const cached = layers.slice(0, count)
    const config = Buffer.from(JSON.stringify({ layers: cached.map((layer) => ({ blob: digestOf(layer) })) }))
    for (const blob of [...cached, config]) {
      // BuildKit pushes what the registry does not have.
      if ((await head(digestOf(blob))).status === 404)
        assert.equal((await pushBlob(port, APP, blob)).status, 201)
    }
    const index = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: OCI_INDEX },
        manifests: [
          ...cached.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
          descriptor('application/vnd.buildkit.cacheconfig.v0', config),
        ],
      }),
    )
    assert.equal((await pushManifest(port, APP, 'cache', index, { type: OCI_INDEX })).status, 201)
    await collectGarbage(server)
    const pulled = await requestHttp1(port, `/v2/${APP}/manifests/cache`)
    assert.deepEqual([pulled.body, pulled.headers['content-type']], [index, OCI_INDEX])
    for (const blob of [...cached, config])
      assert.deepEqual((await requestHttp1(port, `/v2/${APP}/blobs/${digestOf(blob)}`)).body, blob)
  }
})

test('the cache of BuildKit as an image is pushed, and outlives a collection', async (t) => {
  const server = await startHostedServer(t)
  const { port } = server
  const layer = Buffer.from('a layer')
  const config = Buffer.from(JSON.stringify({ layers: [{ blob: digestOf(layer) }] }))
  for (const blob of [layer, config]) await pushBlob(port, APP, blob)
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
      config: descriptor('application/vnd.buildkit.cacheconfig.v0', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
    }),
  )
  assert.equal((await pushManifest(port, APP, 'cache', manifest)).status, 201)
  await collectGarbage(server)
  for (const blob of [layer, config])
    assert.deepEqual((await requestHttp1(port, `/v2/${APP}/blobs/${digestOf(blob)}`)).body, blob)
})
