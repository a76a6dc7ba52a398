import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { RegistryReader } from '../../../src/export/readers/registry-reader.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { sha256 } from '../fixture.ts'

const { signal } = new AbortController()
const repository = { registry: 'ghcr.io', name: 'acme/app' }
const bytes = Buffer.alloc(300_000, 'content ')
const digest = parseDigest(sha256(bytes)) ?? assert.fail()

async function serve(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<RegistryReader> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = new RegistryReader(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  t.after(() => {
    reader.close()
    server.closeAllConnections()
    server.close()
  })
  return reader
}

async function read(reader: RegistryReader): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.blob(repository, { digest, size: bytes.length }, { signal })) {
    chunks.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(chunks)
}

test('requests name the registry, and a manifest comes with its type', async (t) => {
  const urls: (string | undefined)[] = []
  const reader = await serve(t, ({ url }, response) => {
    urls.push(url)
    response.setHeader('content-type', 'application/vnd.test')
    response.end('{}')
  })
  const { bytes, mediaType } = await reader.manifest(repository, 'v1', { signal })
  assert.deepEqual([Buffer.from(bytes).toString(), mediaType], ['{}', 'application/vnd.test'])
  assert.deepEqual(await reader.referrers(repository, digest, { signal }), [])
  assert.deepEqual(urls, [
    `/v2/acme/app/manifests/v1?ns=ghcr.io`,
    `/v2/acme/app/referrers/${digest}?ns=ghcr.io`,
  ])
  assert.ok(await reader.answers(signal))
})

test('a body that breaks off is continued where it ended', async (t) => {
  const ranges: (string | undefined)[] = []
  const reader = await serve(t, ({ headers: { range } }, response) => {
    ranges.push(range)
    const start = Number(/\d+/.exec(range ?? '')?.[0] ?? 0)
    const headers = {
      'content-length': bytes.length - start,
      'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    }
    response.writeHead(range === undefined ? 200 : 206, headers)
    if (ranges.length === 3) response.end(bytes.subarray(start))
    else response.write(bytes.subarray(start, start + 100_000), () => response.socket?.end())
  })
  assert.deepEqual(await read(reader), bytes)
  assert.deepEqual(ranges, [undefined, 'bytes=100000-', 'bytes=200000-'])
})

test('what the agent refuses is not asked for again, and its sentence is passed on', async (t) => {
  let requests = 0
  const reader = await serve(t, (_, response) => {
    requests += 1
    response.statusCode = 404
    response.end(JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'no such blob' }] }))
  })
  await assert.rejects(
    read(reader),
    (error) => error instanceof Failure && error.code === 'absent' && error.message === 'no such blob',
  )
  await assert.rejects(reader.referrers(repository, digest, { signal }), { code: 'absent' })
  assert.equal(requests, 2)
})

test('an agent that gives no byte for several tries is given up', async (t) => {
  let requests = 0
  const reader = await serve(t, (_, response) => {
    requests += 1
    response.statusCode = 503
    response.end()
  })
  await assert.rejects(read(reader), /the agent answers 503/)
  assert.equal(requests, 4)
})

test('a manifest larger than the limit is refused', async (t) => {
  const reader = await serve(t, (_, response) => response.end(Buffer.alloc(5 * 1024 * 1024)))
  await assert.rejects(
    reader.manifest(repository, 'v1', { signal }),
    (error) => error instanceof Failure && error.code === 'too-large',
  )
})
