import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { rstStream, TYPE } from '../../../testkit/raw-http/http2-frames.ts'
import { RawHttp2 } from '../../../testkit/raw-http/raw-http2.ts'
import { ALPINE, startTestServer, waitUntilUnused } from '../test-server.ts'

const BLOB = Buffer.alloc(3_000_000, 'blob')

test('a stream that is reset with NO_ERROR frees its answer, send slot and buffers', async (t) => {
  const { port, resolver, server } = await startTestServer(t)
  const blob = `/v2/alpine/blobs/${resolver.putBlob(ALPINE, BLOB)}`
  const manifest = `/v2/alpine/manifests/${resolver.putManifest(ALPINE, Buffer.alloc(60_000, ' '), OCI_MANIFEST)}`
  const client = await RawHttp2.open({ port }, { window: 0 })
  t.after(() => client.socket.close())
  for (const path of [blob, manifest]) {
    const stream = client.get(path)
    assert.equal(await client.status(stream), 200)
    await client.socket.send(rstStream(stream, 0))
    await client.settled()
    const deadline = performance.now() + 60_000
    while (server.usage().answers + server.usage().seats + server.usage().pieces > 0) {
      assert.ok(performance.now() < deadline, JSON.stringify(server.usage()))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.equal(client.count(TYPE.goaway), 0)
  client.socket.close()
  await waitUntilUnused(server)
})
