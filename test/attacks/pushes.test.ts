import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { digestOf } from '../../testkit/memory/digests.ts'
import {
  beginUpload,
  type HostedServer,
  pushBlob,
  pushImage,
  sampleImage,
  startHostedServer,
  withQuery,
} from '../registry-api/hosted-server.ts'
import {
  ALPINE,
  errorCodeOf,
  nextRequestEnded,
  openSocket,
  readUntilClosed,
  requestHttp1,
  sendRaw,
} from '../registry-api/test-server.ts'

const HELLO = Buffer.from('hello')

/** How many bytes the upload has; never used for one with a single byte, which looks like one without. */
async function positionOf(port: number, location: string): Promise<number> {
  const range = String((await requestHttp1(port, location)).headers['range'])
  return range === '0-0' ? 0 : Number(range.slice('0-'.length)) + 1
}

/** The upload has exactly this content, and ends well after whatever was done to it. */
async function assertContinues(port: number, location: string, content: Buffer): Promise<void> {
  assert.equal(await positionOf(port, location), content.length)
  const rest = Buffer.from(' and the rest')
  const digest = digestOf(Buffer.concat([content, rest]))
  const put = await requestHttp1(port, withQuery(location, `digest=${digest}`), { method: 'PUT', body: rest })
  assert.equal(put.status, 201, put.body.toString())
}

function patchHead(location: string, headers: string): string {
  return `PATCH ${location} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`
}

function statuses(text: string): readonly string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '')
}

test('a body that stalls gets an error, and the upload keeps what came', async (t) => {
  const { port } = await startHostedServer(t, { limits: { bodyStallMs: 100 } })
  const location = await beginUpload(port, 'team/app')
  const text = await sendRaw(port, `${patchHead(location, 'Content-Length: 100')}hello`)
  assert.match(text, /^HTTP\/1\.1 400 [\s\S]*BLOB_UPLOAD_INVALID/)
  assert.deepEqual(statuses(text), ['400'])
  await assertContinues(port, location, HELLO)
})

test('a client that leaves in the middle of a body leaves what came in the upload', async (t) => {
  const { port } = await startHostedServer(t)
  for (const leave of ['fin', 'rst', 'half'] as const) {
    const location = await beginUpload(port, 'team/app')
    const ended = nextRequestEnded(({ method }) => method === 'PATCH')
    const socket = await openSocket(port, { allowHalfOpen: leave === 'half' })
    socket.on('error', () => {})
    const closed = readUntilClosed(socket)
    const isThere = firstBytesOf(t, port, location, HELLO.length)
    socket.write(`${patchHead(location, 'Content-Length: 100')}hello`)
    await isThere
    if (leave === 'rst') socket.resetAndDestroy()
    else if (leave === 'half') socket.end()
    else socket.destroy()
    await ended
    // A client that still reads is told.
    if (leave === 'half') assert.match((await closed).text, /^HTTP\/1\.1 400 /)
    await assertContinues(port, location, HELLO)
  }
})

test('bytes after the declared length are the next request, and not a part of the blob', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const text = await sendRaw(port, `${patchHead(location, 'Content-Length: 5')}hello and more`)
  assert.deepEqual(statuses(text), ['202', '400'])
  await assertContinues(port, location, HELLO)
})

test('chunks that are not valid HTTP get one error, and the upload goes on', async (t) => {
  const { port } = await startHostedServer(t)
  for (const chunks of [
    '5\r\nhello\r\nzz\r\n',
    '5\r\nhello!!\r\n',
    '-1\r\nhello\r\n',
    'ffffffffffffffffff\r\nhello\r\n',
  ]) {
    const location = await beginUpload(port, 'team/app')
    const text = await sendRaw(port, `${patchHead(location, 'Transfer-Encoding: chunked')}${chunks}`)
    assert.deepEqual(statuses(text), ['400'], chunks)
    assert.match(text, /"errors"/)
    // What came before the error may be in the upload or not.
    await assertContinues(port, location, HELLO.subarray(0, await positionOf(port, location)))
  }
})

test('a transfer coding other than chunked, or both kinds of length, is refused', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  for (const headers of [
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 99999999999999999999999',
    'Content-Length: -1',
  ]) {
    const text = await sendRaw(
      port,
      `${patchHead(location, `${headers}\r\nConnection: close`)}5\r\nhello\r\n0\r\n\r\n`,
    )
    assert.match(text, /^HTTP\/1\.1 (400|501) /, headers)
    assert.equal(statuses(text).length, 1, headers)
  }
  await assertContinues(port, location, Buffer.alloc(0))
})

test('what looks like a request in the body of a refused push is no request', async (t) => {
  const { port, resolver } = await startHostedServer(t)
  const hidden = 'GET /v2/hidden/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n'
  const last = 'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  const id = '0a'.repeat(32)
  for (const [method, path] of [
    ['PUT', '/v2/alpine/manifests/v1'],
    ['PATCH', `/v2/alpine/blobs/uploads/${id}`],
    ['PATCH', `/v2/team/app/blobs/uploads/${id}`],
    ['PUT', '/v2/team/app/manifests/v1'],
    ['POST', '/v2/team/app/blobs/uploads/?digest=none'],
    ['DELETE', '/v2/team/app/manifests/v1'],
    ['GET', '/v2/'],
  ]) {
    for (const body of [
      `Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
      `Transfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ]) {
      const text = await sendRaw(port, `${method} ${path} HTTP/1.1\r\nHost: x\r\n${body}${last}`)
      assert.equal(statuses(text).length, 2, `${method} ${path}`)
      assert.equal(statuses(text)[1], '200', `${method} ${path}`)
    }
  }
  assert.deepEqual(resolver.asked, [])
})

test('a large body that is refused ends the connection after its answer, which the client can read', async (t) => {
  const { port } = await startHostedServer(t, { limits: { maxBodyBytes: 100_000 } })
  const socket = await openSocket(port)
  socket.on('error', () => {})
  const closed = readUntilClosed(socket)
  socket.write('PUT /v2/alpine/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n')
  const more = setInterval(() => socket.write(Buffer.alloc(50_000)), 1)
  t.after(() => clearInterval(more))
  assert.deepEqual(statuses((await closed).text), ['405'])
})

test('a second request to an upload that is being written is told to come later', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  const isThere = firstBytesOf(t, port, location, HELLO.length)
  socket.write(`${patchHead(location, 'Content-Length: 10\r\nConnection: close')}hello`)
  await isThere
  for (const [method, path] of [
    ['PATCH', location],
    ['PUT', withQuery(location, `digest=${digestOf(HELLO)}`)],
  ] as const) {
    const second = await requestHttp1(port, path, { method, body: Buffer.from('other') })
    assert.equal(second.status, 503, method)
    assert.match(String(second.headers['retry-after']), /^\d+$/)
  }
  socket.write('world')
  assert.deepEqual(statuses((await closed).text), ['202'])
  await assertContinues(port, location, Buffer.from('helloworld'))
})

test('an upload exists in its own repository only', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  await requestHttp1(port, location, { method: 'PATCH', body: HELLO })
  const elsewhere = location.replace('team/app', 'team/other')
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    const path = method === 'PUT' ? withQuery(elsewhere, `digest=${digestOf(HELLO)}`) : elsewhere
    const refused = await requestHttp1(port, path, { method, ...(method === 'GET' ? {} : { body: HELLO }) })
    assert.equal(refused.status, 404, method)
    if (method !== 'GET') assert.equal(errorCodeOf(refused), 'BLOB_UPLOAD_UNKNOWN')
  }
  await assertContinues(port, location, HELLO)
})

test('names and ids with tricks in them reach nothing', async (t) => {
  const { port } = await startHostedServer(t)
  const id = (await beginUpload(port, 'team/app')).split('/').at(-1) ?? ''
  for (const path of [
    '/v2/team/../../etc/blobs/uploads/',
    '/v2/team%2f..%2f..%2fetc/blobs/uploads/',
    '/v2/team/app%00/blobs/uploads/',
    '/v2/TEAM/app/blobs/uploads/',
    '/v2/team//app/blobs/uploads/',
    `/v2/${'team/'.repeat(60)}app/blobs/uploads/`,
  ]) {
    const refused = await requestHttp1(port, path, { method: 'POST' })
    assert.ok(refused.status === 400 || refused.status === 404, `${path}: ${refused.status}`)
    errorCodeOf(refused)
  }
  for (const other of [
    '..',
    '%2e%2e%2fpasswd',
    `${id}%00`,
    `${id}/..`,
    id.toUpperCase(),
    id.slice(1),
    `${id}0`,
  ]) {
    const refused = await requestHttp1(port, `/v2/team/app/blobs/uploads/${other}`, {
      method: 'PATCH',
      body: HELLO,
    })
    assert.ok(refused.status === 404 || refused.status === 405, `${other}: ${refused.status}`)
    errorCodeOf(refused)
  }
})

test('one address that sends many slow bodies does not keep another one from pushing', async (t) => {
  const server = await startHostedServer(t, { limits: { slowMs: 50, waitMs: 20_000 } })
  const { port } = server
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let count = 0; count < 100; count += 1) {
    const location = await beginUpload(port, `team/slow${count % 10}`)
    const socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' })
    socket.on('error', () => {})
    sockets.push(socket)
    await once(socket, 'connect')
    socket.write(`${patchHead(location, 'Content-Length: 100000')}hello`)
  }
  for (const from of ['127.0.0.3', '127.0.0.1']) {
    const location = await beginUpload(port, 'team/honest', { from })
    const body = Buffer.alloc(300_000, from)
    const put = await requestHttp1(port, withQuery(location, `digest=${digestOf(body)}`), {
      method: 'PUT',
      body,
      from,
    })
    assert.equal(put.status, 201, `${from}: ${put.body}`)
  }
})

test('a stream that is reset in the middle of a body leaves what came, and its session goes on', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.after(() => session.destroy())
  const ended = nextRequestEnded(({ method }) => method === 'PATCH')
  const stream = session.request({ ':method': 'PATCH', ':path': location })
  stream.on('error', () => {})
  const isThere = firstBytesOf(t, port, location, HELLO.length)
  stream.write(HELLO)
  await isThere
  stream.close(constants.NGHTTP2_CANCEL)
  await ended
  const next = session.request({ ':path': '/v2/' })
  const [headers] = await once(next, 'response')
  assert.equal(headers[':status'], 200)
  next.resume()
  await assertContinues(port, location, HELLO)
})

test('a push of many megabytes over HTTP/2 is not taken for a flood of frames', async (t) => {
  const { port } = await startHostedServer(t)
  const location = await beginUpload(port, 'team/app')
  const body = Buffer.alloc(40 * 1024 * 1024, 'content')
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.after(() => session.destroy())
  const stream = session.request({
    ':method': 'PUT',
    ':path': withQuery(location, `digest=${digestOf(body)}`),
  })
  stream.end(body)
  const [headers] = await once(stream, 'response')
  assert.equal(headers[':status'], 201)
  stream.resume()
})

test('a push to a cached name changes nothing of what is cached', async (t) => {
  const { port, resolver } = await startHostedServer(t)
  const image = sampleImage()
  const digest = resolver.putManifest(
    ALPINE,
    image.manifest,
    'application/vnd.oci.image.manifest.v1+json',
    'latest',
  )
  const forged = sampleImage('forged')
  for (const name of ['alpine', 'docker.io/library/alpine']) {
    for (const [method, path] of [
      ['POST', 'blobs/uploads/'],
      ['POST', `blobs/uploads/?mount=${digestOf(image.layer)}&from=team/app`],
      ['PUT', 'manifests/latest'],
      ['DELETE', 'manifests/latest'],
      ['DELETE', `manifests/${digest}`],
    ] as const) {
      const refused = await requestHttp1(port, `/v2/${name}/${path}`, { method, body: forged.manifest })
      assert.equal(refused.status, 405, `${method} ${name}/${path}`)
    }
  }
  assert.deepEqual((await requestHttp1(port, '/v2/alpine/manifests/latest')).body, image.manifest)
})

test('content of a hosted repository is under no other name', async (t) => {
  const { port } = await startHostedServer(t)
  const image = sampleImage()
  await pushImage(port, 'team/app', 'v1', image)
  for (const name of ['team/other', 'alpine', 'docker.io/team/app']) {
    assert.equal((await requestHttp1(port, `/v2/${name}/manifests/v1`)).status, 404, name)
    assert.equal((await requestHttp1(port, `/v2/${name}/blobs/${digestOf(image.layer)}`)).status, 404, name)
  }
  const unlinked = await requestHttp1(port, '/v2/team/other/manifests/v1', {
    method: 'PUT',
    headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
    body: image.manifest,
  })
  assert.equal(errorCodeOf(unlinked), 'MANIFEST_BLOB_UNKNOWN')
})

test('a store without room answers 507 with the reason, and pulls go on', async (t) => {
  const { port } = await startHostedServer(t, { maxBytes: 20 * 1024 * 1024 })
  const small = Buffer.from('small')
  assert.equal((await pushBlob(port, 'team/app', small)).status, 201)
  const location = await beginUpload(port, 'team/app')
  for (const isChunked of [false, true]) {
    const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const body = Buffer.alloc(30 * 1024 * 1024, 'x')
      const headers = isChunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length }
      const request = httpRequest(
        { host: '127.0.0.1', port, path: location, method: 'PATCH', agent: false, headers },
        (response) => {
          let text = ''
          response.on('data', (chunk: Buffer) => {
            text += chunk
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        },
      )
      // The agent stops reading, so the client cannot send all of it.
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error)
      })
      request.end(body)
    })
    assert.equal(answer.status, 507, answer.text)
    assert.match(answer.text, /"errors"/)
  }
  assert.deepEqual((await requestHttp1(port, `/v2/team/app/blobs/${digestOf(small)}`)).body, small)
})

/** Resolves when the upload has at least this many bytes. */
async function firstBytesOf(
  t: Parameters<typeof startHostedServer>[0],
  port: HostedServer['port'],
  location: string,
  bytes: number,
): Promise<void> {
  const { signal } = t
  while (!signal.aborted) {
    const { headers } = await requestHttp1(port, location)
    const range = headers['range']
    if (range === `0-${bytes - 1}` && bytes > 1) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}
