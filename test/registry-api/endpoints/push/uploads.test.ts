import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { FIRST } from '../../certificate-pairs.ts'
import { beginUpload, PROTOCOLS, pushBlob, startHostedServer, withQuery } from '../../hosted-server.ts'
import { errorCodeOf, requestHttp1, sendRaw } from '../../test-server.ts'

const MIB = 1024 * 1024

for (const [protocol, send] of PROTOCOLS) {
  test(`a blob is pushed by POST and PUT over ${protocol}, and pulled again`, async (t) => {
    const { port } = await startHostedServer(t)
    const body = randomBytes(3 * MIB)
    const digest = digestOf(body)
    const begun = await send(port, '/v2/team/app/blobs/uploads/', { method: 'POST' })
    assert.equal(begun.status, 202)
    assert.equal(begun.headers['range'], '0-0')
    assert.equal(begun.headers['content-length'], '0')
    assert.match(begun.headers.location ?? '', /^\/v2\/team\/app\/blobs\/uploads\/[0-9a-f]{64}$/)
    const put = await send(port, withQuery(begun.headers.location ?? '', `digest=${digest}`), {
      method: 'PUT',
      body,
    })
    assert.equal(put.status, 201, put.body.toString())
    assert.equal(put.headers.location, `/v2/team/app/blobs/${digest}`)
    assert.equal(put.headers['docker-content-digest'], digest)
    const pulled = await send(port, `/v2/team/app/blobs/${digest}`)
    assert.equal(pulled.status, 200)
    assert.deepEqual(pulled.body, body)
    assert.equal(pulled.headers['docker-content-digest'], digest)
  })

  test(`a blob is pushed in parts over ${protocol}, and a part out of order is told where to continue`, async (t) => {
    const { port } = await startHostedServer(t)
    const body = randomBytes(300_000)
    let location = await beginUpload(port, 'team/app', { send })
    const patch = (start: number, end: number, headers: Record<string, string> = {}) =>
      send(port, location, {
        method: 'PATCH',
        headers: { 'content-range': `${start}-${end - 1}`, ...headers },
        body: body.subarray(start, end),
      })
    const first = await patch(0, 100_000)
    assert.equal(first.status, 202, first.body.toString())
    assert.equal(first.headers['range'], '0-99999')
    location = first.headers.location ?? ''
    for (const [start, end] of [
      [0, 100_000],
      [200_000, 300_000],
    ] as const) {
      const refused = await patch(start, end)
      assert.equal(refused.status, 416)
      assert.equal(refused.headers['range'], '0-99999')
      assert.equal(refused.headers.location, location)
      assert.equal(errorCodeOf(refused), 'BLOB_UPLOAD_INVALID')
    }
    const state = await send(port, location)
    assert.equal(state.status, 204)
    assert.equal(state.headers['range'], '0-99999')
    assert.equal(state.headers.location, location)
    // Without Content-Range the part follows what is there.
    const second = await send(port, location, { method: 'PATCH', body: body.subarray(100_000, 200_000) })
    assert.equal(second.headers['range'], '0-199999')
    const put = await send(port, withQuery(location, `digest=${digestOf(body)}`), {
      method: 'PUT',
      headers: { 'content-range': '200000-299999' },
      body: body.subarray(200_000),
    })
    assert.equal(put.status, 201, put.body.toString())
    assert.deepEqual((await send(port, `/v2/team/app/blobs/${digestOf(body)}`)).body, body)
    assert.equal((await send(port, location)).status, 404)
  })

  test(`a blob is pushed by one POST over ${protocol}`, async (t) => {
    const { port } = await startHostedServer(t)
    const body = randomBytes(100_000)
    for (const bytes of [body, Buffer.alloc(0)]) {
      const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`
      const answer = await send(port, path, { method: 'POST', body: bytes })
      assert.equal(answer.status, 201, answer.body.toString())
      assert.equal(answer.headers.location, `/v2/team/app/blobs/${digestOf(bytes)}`)
    }
    const wrong = await send(port, `/v2/team/app/blobs/uploads/?digest=${digestOf(body)}`, {
      method: 'POST',
      body: randomBytes(10),
    })
    assert.equal(wrong.status, 400)
    assert.equal(errorCodeOf(wrong), 'DIGEST_INVALID')
  })

  test(`a wrong digest is refused over ${protocol}, and the upload is gone`, async (t) => {
    const { port } = await startHostedServer(t)
    const location = await beginUpload(port, 'team/app', { send })
    const digest = digestOf(Buffer.from('other'))
    const put = await send(port, withQuery(location, `digest=${digest}`), {
      method: 'PUT',
      body: Buffer.from('x'),
    })
    assert.equal(put.status, 400)
    assert.equal(errorCodeOf(put), 'DIGEST_INVALID')
    assert.equal((await send(port, `/v2/team/app/blobs/${digest}`)).status, 404)
    assert.equal((await send(port, location)).status, 404)
  })

  test(`a blob of another repository is mounted over ${protocol}; one that is not there is uploaded`, async (t) => {
    const { port } = await startHostedServer(t)
    const body = Buffer.from(`mounted over ${protocol}`)
    const digest = digestOf(body)
    const mount = (from: string) =>
      send(port, `/v2/team/two/blobs/uploads/?mount=${digest}&from=${from}`, { method: 'POST' })
    assert.equal((await mount('team/one')).status, 202)
    await pushBlob(port, 'team/one', body)
    for (const elsewhere of ['team/other', '..', 'docker.io/library/alpine']) {
      assert.equal((await mount(encodeURIComponent(elsewhere))).status, 202, elsewhere)
    }
    const mounted = await mount('team%2Fone')
    assert.equal(mounted.status, 201)
    assert.equal(mounted.headers.location, `/v2/team/two/blobs/${digest}`)
    assert.equal(mounted.headers['docker-content-digest'], digest)
    assert.deepEqual((await send(port, `/v2/team/two/blobs/${digest}`)).body, body)
  })

  test(`an upload that was cancelled over ${protocol} is gone`, async (t) => {
    const { port } = await startHostedServer(t)
    const location = await beginUpload(port, 'team/app', { send })
    assert.equal((await send(port, location, { method: 'DELETE' })).status, 204)
    for (const method of ['GET', 'DELETE', 'PATCH', 'PUT']) {
      const path = method === 'PUT' ? withQuery(location, `digest=${digestOf(Buffer.from('x'))}`) : location
      const again = await send(port, path, { method })
      assert.equal(again.status, 404, method)
      if (method !== 'GET') assert.equal(errorCodeOf(again), 'BLOB_UPLOAD_UNKNOWN')
    }
  })

  test(`sha512 is told at the beginning or only at the end over ${protocol}`, async (t) => {
    const { port } = await startHostedServer(t)
    const body = randomBytes(70_000)
    const digest = digestOf(body, 'sha512')
    for (const query of ['?digest-algorithm=sha512', '']) {
      const location = await beginUpload(port, `team/app${query.length}`, { query, send })
      const put = await send(port, withQuery(location, `digest=${digest}`), { method: 'PUT', body })
      assert.equal(put.status, 201, put.body.toString())
      assert.equal(put.headers['docker-content-digest'], digest)
    }
  })
}

test('locations keep ns, and the answer repeats it', async (t) => {
  const { port } = await startHostedServer(t)
  const ns = `127.0.0.1:${port}`
  const location = await beginUpload(port, 'team/app', { query: `?ns=${ns}` })
  assert.ok(location.endsWith(`?ns=${encodeURIComponent(ns)}`), location)
  const state = await requestHttp1(port, location)
  assert.equal(state.status, 204)
  assert.equal(state.headers['oci-namespace'], ns)
  const put = await requestHttp1(port, withQuery(location, `digest=${digestOf(Buffer.alloc(0))}`), {
    method: 'PUT',
  })
  assert.equal(put.status, 201)
  assert.ok(put.headers.location?.endsWith(`?ns=${encodeURIComponent(ns)}`))
})

test('a PUT without a digest, or with one that is none, is refused and keeps the upload', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  for (const path of [location, withQuery(location, 'digest=sha256:0'), withQuery(location, 'digest=')]) {
    const put = await requestHttp1(port, path, { method: 'PUT', body: Buffer.from('x') })
    assert.equal(put.status, 400)
    assert.equal(errorCodeOf(put), 'DIGEST_INVALID')
  }
  assert.equal((await requestHttp1(port, location)).status, 204)
})

test('a Content-Range that is none, or does not fit to the length, is refused', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  for (const [range, code] of [
    ['0-', 'BLOB_UPLOAD_INVALID'],
    ['5-1', 'BLOB_UPLOAD_INVALID'],
    ['0-99999999999999999999', 'BLOB_UPLOAD_INVALID'],
    ['0-999999999999999', 'SIZE_INVALID'],
    ['0-5', 'SIZE_INVALID'],
  ] as const) {
    const patch = await requestHttp1(port, location, {
      method: 'PATCH',
      headers: { 'content-range': range },
      body: Buffer.from('hello'),
    })
    assert.equal(patch.status, 400, range)
    assert.equal(errorCodeOf(patch), code, range)
  }
  assert.equal((await requestHttp1(port, location)).headers['range'], '0-0')
})

test('a chunked body that is longer or shorter than its Content-Range is refused, and is in the upload', async (t) => {
  const { port } = await startHostedServer(t)
  for (const range of ['0-3', '0-5']) {
    const location = await beginUpload(port, 'team/app')
    const text = await sendRaw(
      port,
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Range: ${range}\r\n` +
        'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    )
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.match(text, /SIZE_INVALID/)
    assert.match(text, /\r\nRange: 0-4\r\n/)
  }
})

test('100 Continue is sent when the body will be read, and the connection serves the next request', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const text = await sendRaw(
    port,
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello` +
      `GET ${location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  )
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 100', 'HTTP/1.1 202', 'HTTP/1.1 204'])
})

test('a body that nobody will read gets its refusal without 100 Continue', async (t) => {
  const { port } = await startHostedServer(t)
  for (const path of ['/v2/alpine/manifests/v1', `/v2/team/app/blobs/uploads/${'0a'.repeat(32)}`]) {
    const method = path.includes('uploads') ? 'PATCH' : 'PUT'
    const text = await sendRaw(
      port,
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
    )
    assert.match(text, /^HTTP\/1\.1 40[45] [\s\S]*\r\nConnection: close\r\n/)
  }
})

test('bodies that are pipelined on one connection go to their uploads in order', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const parts = [randomBytes(200_000), randomBytes(300_000)]
  const body = Buffer.concat(parts)
  const head = (method: string, path: string, length: number, more = ''): Buffer =>
    Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${length}\r\n\r\n`)
  const text = await sendRaw(
    port,
    Buffer.concat([
      ...parts.flatMap((part) => [head('PATCH', location, part.length), part]),
      head('PUT', withQuery(location, `digest=${digestOf(body)}`), 0, 'Connection: close\r\n'),
    ]),
  )
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 202', 'HTTP/1.1 202', 'HTTP/1.1 201'])
  assert.deepEqual((await requestHttp1(port, `/v2/team/app/blobs/${digestOf(body)}`)).body, body)
})

test('a blob is pushed over TLS', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(tls.certFile, FIRST.cert)
  await writeFile(tls.keyFile, FIRST.key)
  const { port } = await startHostedServer(t, { tls })
  for (const [protocol, send] of PROTOCOLS) {
    const body = randomBytes(2 * MIB)
    const location = await beginUpload(port, 'team/app', { send, ca: FIRST.cert })
    const path = withQuery(location, `digest=${digestOf(body)}`)
    const put = await send(port, path, { method: 'PUT', body, ca: FIRST.cert })
    assert.equal(put.status, 201, `${protocol}: ${put.body}`)
  }
})
