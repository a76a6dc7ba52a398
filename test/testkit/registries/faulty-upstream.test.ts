import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'

const BLOB = Buffer.alloc(1000, 'blob')

async function start(t: TestContext): Promise<{ upstream: FaultyUpstream; digest: Digest }> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return { upstream, digest: upstream.addBlob(BLOB) }
}

async function pull({ url }: FaultyUpstream, digest: Digest): Promise<Buffer> {
  const request = get(`${url}/v2/app/blobs/${digest}`, { agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return Buffer.concat(await response.toArray())
}

test('a release ends the stall of a request that comes to it later', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { stallAt: 500 })
  upstream.release()
  assert.ok((await pull(upstream, digest)).equals(BLOB))
})

test('a release lets a request be answered that a silent fault meets later', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { silent: true })
  upstream.release()
  assert.ok((await pull(upstream, digest)).equals(BLOB))
})

test('a release ends stalls of the second origin', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { redirect: {}, stallAt: 500 })
  const response = await fetch(`${upstream.url}/v2/app/blobs/${digest}`, { redirect: 'manual' })
  upstream.release()
  const redirected = await fetch(response.headers.get('location') ?? '')
  assert.ok(Buffer.from(await redirected.arrayBuffer()).equals(BLOB))
})

test('a release ends stalls of faults that were taken away while requests were stalled', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { stallAt: 500 })
  const pulling = pull(upstream, digest)
  await upstream.stalled(digest)
  upstream.heal()
  upstream.release()
  assert.ok((await pulling).equals(BLOB))
})

test('a release closes the connection of a request that is left without an answer', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { silent: true, times: 1 })
  const pulling = assert.rejects(pull(upstream, digest), { code: 'ECONNRESET' })
  await upstream.stalled(digest)
  upstream.release()
  await pulling
})

test('a fault that is set after a release stalls again', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.release()
  upstream.fault(digest, { stallAt: 500 })
  const pulling = pull(upstream, digest)
  await upstream.stalled(digest)
  upstream.release()
  assert.ok((await pulling).equals(BLOB))
})

test('a release leaves the other effects of a fault as they were', async (t) => {
  const { upstream, digest } = await start(t)
  upstream.fault(digest, { stallAt: 100, dieAt: 500 })
  upstream.release()
  await assert.rejects(pull(upstream, digest), { code: 'ECONNRESET' })
  assert.equal(upstream.bytesSent(digest), 500)
})
