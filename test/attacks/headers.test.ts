import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { answersIn } from '../../testkit/raw-http/http1-answers.ts'
import { RawHttp1 } from '../../testkit/raw-http/raw-http1.ts'
import {
  ALPINE,
  errorCodeOf,
  type ReceivedAnswer,
  type RequestOptions,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
} from '../registry-api/test-server.ts'

const BLOB = Buffer.concat(
  Array.from({ length: 2000 }, (_, index) => createHash('sha512').update(`${index}`).digest()),
)

interface AnswerPart {
  readonly start: number
  readonly bytes: Buffer
}

const PROTOCOLS = [
  { protocol: 'HTTP/1.1', request: requestHttp1 },
  { protocol: 'HTTP/2', request: requestHttp2 },
] as const

for (const [description, host] of [
  ['two hosts', 'Host: a\r\nHost: b\r\n'],
  ['the same host twice', 'Host: a\r\nHost: a\r\n'],
  ['an invalid host', 'Host: a b\r\n'],
  ['a path in the host', 'Host: a/b\r\n'],
  ['a user in the host', 'Host: u@a\r\n'],
  ['an invalid port', 'Host: a:x\r\n'],
  ['no host', ''],
] as const) {
  test(`a request with ${description} gets a 400 with an OCI error`, async (t) => {
    const { port } = await startTestServer(t)
    const client = await RawHttp1.open({ port }, { keep: true })
    t.after(() => client.socket.close())
    await client.send(`GET /v2/ HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
    await client.socket.ended
    const [answer, ...more] = answersIn(client.receivedBytes, { mayLackBodies: false })
    assert.equal(answer?.status, 400)
    assert.equal(answer.headers.get('content-type'), 'application/json')
    assert.equal(more.length, 0)
  })
}

for (const { protocol, request } of PROTOCOLS) {
  test(`a blob that does not match If-Match gets a 412 over ${protocol}`, async (t) => {
    const { port, path, etag } = await putBlob(await startTestServer(t))
    const other = await request(port, path, { headers: { 'If-Match': '"other"' } })
    assert.equal(other.status, 412)
    errorCodeOf(other)
    for (const match of [etag, '*', `"other", ${etag}`]) {
      const got = await request(port, path, { headers: { 'If-Match': match } })
      assert.equal(got.status, 200, match)
      assert.ok(got.body.equals(BLOB), match)
    }
  })

  test(`many ranges get the requested bytes or the whole blob over ${protocol}`, async (t) => {
    const { port, path } = await putBlob(await startTestServer(t))
    for (const count of [16, 17, 64, 256, 257, 1000]) {
      const specs = Array.from({ length: count }, (_, index) => `${index * 20}-${index * 20 + 9}`)
      await assertRanges(request, port, path, specs, count)
    }
  })

  test(`overlapping ranges get no more bytes than the blob has over ${protocol}`, async (t) => {
    const { port, path } = await putBlob(await startTestServer(t))
    for (const count of [2, 16, 256, 1000]) {
      await assertRanges(
        request,
        port,
        path,
        Array.from({ length: count }, () => '0-'),
        count,
      )
      await assertRanges(
        request,
        port,
        path,
        Array.from({ length: count }, (_, index) => `${index}-${index + 50_000}`),
        count,
      )
    }
  })
}

async function putBlob({
  port,
  resolver,
}: TestServer): Promise<{ port: number; path: string; etag: string }> {
  const digest = resolver.putBlob(ALPINE, BLOB)
  return { port, path: `/v2/alpine/blobs/${digest}`, etag: `"${digest}"` }
}

async function assertRanges(
  request: (port: number, path: string, options: RequestOptions) => Promise<ReceivedAnswer>,
  port: number,
  path: string,
  specs: readonly string[],
  count: number,
): Promise<void> {
  const got = await request(port, path, { headers: { Range: `bytes=${specs.join(',')}` } })
  if (got.status === 200) {
    assert.ok(got.body.equals(BLOB), `${count} ranges: wrong bytes`)
    return
  }
  assert.equal(got.status, 206, `${count} ranges`)
  const parts = partsOf(got)
  for (const { start, bytes } of parts) {
    assert.ok(bytes.equals(BLOB.subarray(start, start + bytes.length)), `${count} ranges: wrong bytes`)
  }
  const total = parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
  assert.ok(total <= BLOB.length, `${count} ranges: ${total} bytes`)
  assert.equal(Number(got.headers['content-length']), got.body.length)
}

function partsOf({ headers, body }: ReceivedAnswer): AnswerPart[] {
  const range = /^bytes (\d+)-\d+\//.exec(headers['content-range'] ?? '')
  if (range !== null) return [{ start: Number(range[1]), bytes: body }]
  const parts: AnswerPart[] = []
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n\r\n', at, 'latin1') + 4
    if (end < 4) return parts
    const part = /Content-Range: bytes (\d+)-(\d+)\//.exec(body.toString('latin1', at, end))
    assert.ok(part !== null, 'a part has no Content-Range')
    const start = Number(part[1])
    at = end + Number(part[2]) + 1 - start
    parts.push({ start, bytes: body.subarray(end, at) })
  }
}
