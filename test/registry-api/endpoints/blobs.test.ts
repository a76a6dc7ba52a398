import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { digestOf } from '../../../testkit/memory/digests.ts'
import {
  ALPINE,
  errorCodeOf,
  type ReceivedAnswer,
  requestHttp1,
  requestHttp2,
  startTestServer,
} from '../test-server.ts'

const BYTES = randomBytes(3_000_000)
const PATH = `/v2/alpine/blobs/${digestOf(BYTES)}`

test('a whole blob is sent with its length, digest and ETag', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putBlob(ALPINE, BYTES)
  for (const request of [requestHttp1, requestHttp2]) {
    const got = await request(port, PATH)
    assert.equal(got.status, 200)
    assert.ok(got.body.equals(BYTES))
    assert.equal(got.headers['content-length'], String(BYTES.length))
    assert.equal(got.headers['content-type'], 'application/octet-stream')
    assert.equal(got.headers['docker-content-digest'], digest)
    assert.equal(got.headers.etag, `"${digest}"`)
    assert.equal(got.headers['accept-ranges'], 'bytes')
    assert.equal(got.headers['cache-status'], 'leat; hit')
    assert.equal(got.headers['transfer-encoding'], undefined)
    assert.equal(got.headers['content-encoding'], undefined)
  }
  await resolver.allClosed()
})

test('HEAD and a matching If-None-Match fetch no content', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putBlob(ALPINE, BYTES)
  const head = await requestHttp1(port, PATH, { method: 'HEAD', headers: { range: 'bytes=0-1' } })
  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], String(BYTES.length))
  assert.equal(head.body.length, 0)
  const same = await requestHttp1(port, PATH, { headers: { 'if-none-match': `"${digest}"` } })
  assert.equal(same.status, 304)
  assert.deepEqual(
    resolver.asked.map((asked) => asked.split(' ')[0]),
    ['blobHead', 'blobHead'],
  )
})

test('every form of a single Range gets exactly its bytes', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putBlob(ALPINE, BYTES)
  const size = BYTES.length
  const table: [range: string, start: number, end: number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=1000000-', 1_000_000, size],
    ['bytes=-5', size - 5, size],
    ['bytes=2999990-99999999', 2_999_990, size],
    ['bytes=0-', 0, size],
  ]
  for (const [range, start, end] of table) {
    for (const request of [requestHttp1, requestHttp2]) {
      const got = await request(port, PATH, { headers: { range } })
      assert.equal(got.status, 206, range)
      assert.ok(got.body.equals(BYTES.subarray(start, end)), range)
      assert.equal(got.headers['content-range'], `bytes ${start}-${end - 1}/${size}`)
      assert.equal(got.headers['content-length'], String(end - start))
      assert.equal(got.headers['content-type'], 'application/octet-stream')
    }
  }
  for (const range of ['bytes=500-0', `bytes=${size}-`, 'bytes=-0']) {
    const got = await requestHttp1(port, PATH, { headers: { range } })
    assert.equal(got.status, 416, range)
    assert.equal(got.headers['content-range'], `bytes */${size}`)
    assert.equal(errorCodeOf(got), 'RANGE_INVALID')
  }
  for (const range of ['bytes=-5-', 'bytes=x', 'lines=1-2']) {
    assert.equal((await requestHttp1(port, PATH, { headers: { range } })).status, 200, range)
  }
  await resolver.allClosed()
})

test('several ranges are sent as parts, in the order of the request', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putBlob(ALPINE, BYTES)
  const got = await requestHttp1(port, PATH, { headers: { range: 'bytes=1000000-2200000,0-4,5-9' } })
  assert.equal(got.status, 206)
  assert.equal(got.headers['content-length'], String(got.body.length))
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(String(got.headers['content-type']))?.[1]
  const part = (start: number, end: number) =>
    Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${start}-${end - 1}/${BYTES.length}\r\n\r\n`,
      ),
      BYTES.subarray(start, end),
      Buffer.from('\r\n'),
    ])
  const expected = [part(1_000_000, 2_200_001), part(0, 5), part(5, 10), Buffer.from(`--${boundary}--\r\n`)]
  assert.ok(got.body.equals(Buffer.concat(expected)))
})

/** The parts of a multipart answer, in order. */
function partsOf({ headers, body }: ReceivedAnswer): { range: string; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(String(headers['content-type']))?.[1]
  const text = body.toString('latin1')
  assert.ok(text.endsWith(`\r\n--${boundary}--\r\n`))
  const parts = text
    .slice(0, text.lastIndexOf(`\r\n--${boundary}--`))
    .split(`--${boundary}\r\n`)
    .slice(1)
  return parts.map((part, at) => {
    const start = part.indexOf('\r\n\r\n') + 4
    const range = /Content-Range: bytes (\d+-\d+)\//.exec(part.slice(0, start))?.[1] ?? ''
    const end = at === parts.length - 1 ? part.length : part.length - 2
    return { range, bytes: Buffer.from(part.slice(start, end), 'latin1') }
  })
}

test('256 ranges of a blob are sent as 256 parts, 257 ranges get the whole blob', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putBlob(ALPINE, BYTES)
  // The ranges run from the end of the blob to its start, each adjacent to the one before.
  const ranges = Array.from(
    { length: 257 },
    (_, i) => [(256 - i) * 10_000, (256 - i) * 10_000 + 9_999] as const,
  )
  const header = (count: number) =>
    `bytes=${ranges
      .slice(0, count)
      .map(([first, last]) => `${first}-${last}`)
      .join(',')}`
  for (const request of [requestHttp1, requestHttp2]) {
    const got = await request(port, PATH, { headers: { range: header(256) } })
    assert.equal(got.status, 206)
    assert.equal(got.headers['content-length'], String(got.body.length))
    const parts = partsOf(got)
    assert.deepEqual(
      parts.map(({ range }) => range),
      ranges.slice(0, 256).map(([first, last]) => `${first}-${last}`),
    )
    assert.ok(
      ranges
        .slice(0, 256)
        .every(([first, last], at) => parts[at]?.bytes.equals(BYTES.subarray(first, last + 1))),
    )

    const whole = await request(port, PATH, { headers: { range: header(257) } })
    assert.equal(whole.status, 200)
    assert.ok(whole.body.equals(BYTES))
  }
  await resolver.allClosed()
})

test('Range applies only when If-Range is the ETag of the blob', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putBlob(ALPINE, BYTES)
  const status = async (ifRange: string) =>
    (await requestHttp1(port, PATH, { headers: { range: 'bytes=0-1', 'if-range': ifRange } })).status
  assert.equal(await status(`"${digest}"`), 206)
  assert.equal(await status('"other"'), 200)
  assert.equal(await status(`W/"${digest}"`), 200)
})

test('an empty blob is served with and without Range', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putBlob(ALPINE, Buffer.alloc(0))
  for (const request of [requestHttp1, requestHttp2]) {
    for (const headers of [{}, { range: 'bytes=0-' }]) {
      const got = await request(port, `/v2/alpine/blobs/${digest}`, { headers })
      assert.equal(got.status, 200)
      assert.equal(got.headers['content-length'], '0')
      assert.equal(got.body.length, 0)
      assert.equal(got.cut, false)
    }
  }
  await resolver.allClosed()
})

test('a blob that does not exist is 404 BLOB_UNKNOWN', async (t) => {
  const { port } = await startTestServer(t)
  const got = await requestHttp1(port, PATH)
  assert.equal(got.status, 404)
  assert.equal(errorCodeOf(got), 'BLOB_UNKNOWN')
  assert.equal(got.headers['cache-status'], 'leat; fwd=uri-miss; detail=absent')
})
