import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { PREFACE, rstStream, settings, TYPE } from '../../testkit/raw-http/http2-frames.ts'
import { RawHttp2 } from '../../testkit/raw-http/raw-http2.ts'
import { ALPINE, readUntilClosed, requestHttp2, startTestServer, waitUntilUnused } from './test-server.ts'

const BLOB = Buffer.alloc(3_000_000, 'blob')

test('HTTP/2 over TLS without ALPN h2 is closed, and later connections are served', async (t) => {
  const { cert, key, ca } = makeCertificates()
  const folder = await mkdtemp(join(tmpdir(), 'leat-http2-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(tls.certFile, cert)
  await writeFile(tls.keyFile, key)
  const { port, resolver } = await startTestServer(t, { tls })
  resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  for (const ALPNProtocols of [undefined, ['http/1.1']]) {
    const socket = connectTls({ host: '127.0.0.1', port, ca, ...(ALPNProtocols && { ALPNProtocols }) })
    socket.write(Buffer.concat([PREFACE, settings({})]))
    await readUntilClosed(socket)
  }
  for (let i = 0; i < 2; i += 1) {
    const got = await requestHttp2(port, '/v2/alpine/manifests/latest', { ca })
    assert.equal(got.status, 200)
    assert.equal(got.body.toString(), '{}')
  }
})

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
