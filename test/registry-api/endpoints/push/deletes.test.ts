import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Events, subscribe } from '../../../../src/observe/events.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { PROTOCOLS, pushImage, sampleImage, startHostedServer } from '../../hosted-server.ts'
import { errorCodeOf, requestHttp1 } from '../../test-server.ts'

for (const [protocol, send] of PROTOCOLS) {
  test(`tags, manifests and blobs are deleted over ${protocol}, and are gone then`, async (t) => {
    const { port } = await startHostedServer(t)
    const image = sampleImage()
    await pushImage(port, 'team/app', 'v1', image)
    const digest = digestOf(image.manifest)
    const table: [path: string, code: string][] = [
      ['manifests/v1', 'MANIFEST_UNKNOWN'],
      [`manifests/${digest}`, 'MANIFEST_UNKNOWN'],
      [`blobs/${digestOf(image.layer)}`, 'BLOB_UNKNOWN'],
    ]
    for (const [path, code] of table) {
      assert.equal((await send(port, `/v2/team/app/${path}`)).status, 200, path)
      const deleted = await send(port, `/v2/team/app/${path}`, { method: 'DELETE' })
      assert.equal(deleted.status, 202, path)
      for (const method of ['DELETE', 'GET']) {
        const again = await send(port, `/v2/team/app/${path}`, { method })
        assert.equal(again.status, 404, `${method} ${path}`)
        assert.equal(errorCodeOf(again), code)
      }
    }
  })
}

test('a tag that was deleted leaves its manifest, and a manifest that was deleted takes its tags along', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  const digest = digestOf(image.manifest)
  for (const tag of ['v1', 'v2', 'v3']) await pushImage(port, 'team/app', tag, image)
  assert.equal((await requestHttp1(port, '/v2/team/app/manifests/v1', { method: 'DELETE' })).status, 202)
  assert.equal((await requestHttp1(port, `/v2/team/app/manifests/${digest}`)).status, 200)
  assert.equal(
    (await requestHttp1(port, `/v2/team/app/manifests/${digest}`, { method: 'DELETE' })).status,
    202,
  )
  for (const tag of ['v2', 'v3']) {
    assert.equal((await requestHttp1(port, `/v2/team/app/manifests/${tag}`)).status, 404)
  }
})

test('where deleting is switched off, 405 says which setting allows it', async (t) => {
  const { port } = await startHostedServer(t, { hostedDelete: false })
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  for (const path of [
    'manifests/v1',
    `manifests/${digestOf(image.manifest)}`,
    `blobs/${digestOf(image.layer)}`,
  ]) {
    const refused = await requestHttp1(port, `/v2/team/app/${path}`, { method: 'DELETE' })
    assert.equal(refused.status, 405)
    assert.equal(errorCodeOf(refused), 'UNSUPPORTED')
    assert.match(refused.body.toString(), /hostedDelete: true/)
    assert.equal((await requestHttp1(port, `/v2/team/app/${path}`)).status, 200)
  }
})

test('a deletion is published', async (t) => {
  const { port } = await startHostedServer(t)
  await pushImage(port, 'team/app', 'v1', sampleImage())
  const events: Events['hosted.deleted'][] = []
  t.after(subscribe('hosted.deleted', (event) => events.push(event)))
  await requestHttp1(port, '/v2/team/app/manifests/v1', { method: 'DELETE' })
  await requestHttp1(port, '/v2/team/app/manifests/v1', { method: 'DELETE' })
  assert.deepEqual(
    events.map(({ kind, tags, client }) => ({ kind, tags, client })),
    [{ kind: 'tag', tags: ['v1'], client: '127.0.0.1' }],
  )
})
