import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import { open } from '../opened.ts'

const { signal } = new AbortController()
const BLOB = Buffer.alloc(100_000, 'blob')

test('size and type are requested with HEAD, or else with a GET of one byte', async (t) => {
  const { server, upstreams, want } = await open(t)
  const digest = server.addBlob(BLOB)
  const expected = { size: BLOB.length, mediaType: 'application/octet-stream' }
  assert.deepEqual(await upstreams.head(want(digest), { signal }), expected)
  server.fault(digest, { method: 'HEAD', chunked: true })
  assert.deepEqual(await upstreams.head(want(digest), { signal }), expected)
  assert.equal(server.requests.at(-1)?.headers.range, 'bytes=0-0')
  server.fault(digest, { method: 'GET', ignoreRange: true })
  assert.deepEqual(await upstreams.head(want(digest), { signal }), expected)
  await assert.rejects(upstreams.head(want(sha256('x')), { signal }), { code: 'absent' })
})
