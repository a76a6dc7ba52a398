import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:https'
import { test } from 'node:test'
import { contentPath } from '../../../../src/peers/wire/protocol/content-path.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { GrowingContent } from '../../../../testkit/memory/growing-content.ts'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'
import { peerLab, receivedUntilClosed, WANT } from '../../../../testkit/peer-lab.ts'
import { assertServesMembers, recordingServer, until } from '../recording-server.ts'

const HTTP1 = { ALPNProtocols: ['http/1.1'] }
const PATH = contentPath(WANT)
const GET = `GET ${PATH} HTTP/1.1\r\nHost: peer\r\n\r\n`
const statusOf = (received: Buffer) => /^HTTP\/1\.1 (\d+)/.exec(received.toString('latin1'))?.[1]

for (const [what, text, status] of [
  ['bytes that are no HTTP', '\x00\xff\x10'.repeat(100), undefined],
  ['a frame of the former protocol', '\x00\x00\x00\x02\x00{}', undefined],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', undefined],
  ['a head that is too long', `GET ${PATH} HTTP/1.1\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, undefined],
  ['a path that is too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`, undefined],
  ['a header without end', `GET ${PATH} HTTP/1.1\r\nA : b\r\n\r\n`, undefined],
  ['a bare line feed in a header', `GET ${PATH} HTTP/1.1\nA: b\0c\n\n`, undefined],
  ['two lengths', `GET ${PATH} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`, undefined],
  [
    'a length and chunks',
    `GET ${PATH} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    undefined,
  ],
  ['a method without an answer', `CONNECT ${PATH} HTTP/1.1\r\n\r\n`, undefined],
  ['a demand to wait', `GET ${PATH} HTTP/1.1\r\nExpect: something\r\n\r\n`, undefined],
  ['another method', `DELETE ${PATH} HTTP/1.1\r\n\r\n`, '405'],
  ['a body', `GET ${PATH} HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello`, '400'],
  ['chunks', `GET ${PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, '400'],
  ['a path that is none of a content', 'GET /v2/_catalog HTTP/1.1\r\n\r\n', '404'],
  [
    'a path out of the registry',
    `GET /v2/../../etc/passwd/blobs/${WANT.digest}?ns=a.b HTTP/1.1\r\n\r\n`,
    '404',
  ],
  ['a range that is none', `GET ${PATH} HTTP/1.1\r\nRange: bytes=5-1\r\n\r\n`, '404'],
  ['another version of the protocol', `GET ${PATH} HTTP/1.1\r\nPeer-Protocol: 2\r\n\r\n`, '505'],
] as const) {
  test(`a member that sends ${what} is disconnected, and asks for no content`, async (t) => {
    const lab = await recordingServer(t)
    const socket = lab.connect(lab.clientCredentials, HTTP1)
    socket.write(Buffer.from(text, 'latin1'))
    assert.equal(statusOf(await receivedUntilClosed(socket)), status)
    assert.deepEqual(lab.paths, [])
    await assertServesMembers(lab)
  })
}

test('a member that sends no request, or only a part of one, is disconnected', async (t) => {
  const lab = await recordingServer(t, { firstRequestMs: 100 })
  const [silent, slow] = [
    lab.connect(lab.clientCredentials, HTTP1),
    lab.connect(lab.clientCredentials, HTTP1),
  ]
  slow.write(GET.slice(0, 40))
  const dripping = setInterval(() => slow.write('a'), 20)
  const received = await Promise.all([silent, slow].map(receivedUntilClosed)).finally(() =>
    clearInterval(dripping),
  )
  assert.deepEqual(received.map(String), ['', ''])
})

test('an idle connection is closed, and one that begins another request and does not end it', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const [idle, slow] = [lab.connect(lab.clientCredentials, HTTP1), lab.connect(lab.clientCredentials, HTTP1)]
  idle.write(GET)
  slow.write(GET + GET.slice(0, 40))
  const received = await Promise.all([idle, slow].map(receivedUntilClosed))
  assert.deepEqual(received.map(statusOf), ['404', '404'])
  assert.equal(lab.paths.length, 2)
})

test('a member may send its next request early, and one that sends many at once is disconnected', async (t) => {
  let finish = () => {}
  const lab = await peerLab(t, {
    onContent: async (upload) => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      await upload.send(new GrowingContent(Buffer.from('content')))
    },
  })
  const two = lab.connect(lab.clientCredentials, HTTP1)
  two.write(GET + GET)
  const chunks: Buffer[] = []
  two.on('data', (bytes: Buffer) => {
    chunks.push(bytes)
  })
  const bodies = () => Buffer.concat(chunks).toString('latin1').split('\r\n\r\ncontent').length - 1
  while (bodies() < 2) {
    finish()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const many = lab.connect(lab.clientCredentials, HTTP1)
  many.write(GET.repeat(50))
  assert.equal((await receivedUntilClosed(many)).length, 0)
})

test('a request behind another one is not answered when the connection has closed meanwhile', async (t) => {
  let answered = 0
  let ended = 0
  const lab = await peerLab(t, {
    onContent: async (upload) => {
      answered += 1
      await new Promise((resolve) => upload.closed.addEventListener('abort', resolve))
      ended += 1
    },
  })
  const socket = lab.connect(lab.clientCredentials, HTTP1)
  socket.write(GET + GET)
  await until(() => answered === 1)
  socket.destroy()
  await until(() => ended === 1)
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(answered, 1)
})

test('a content and its ranges are answered as a registry does', async (t) => {
  const bytes = randomBytes(1000)
  const lab = await peerLab(t, { onContent: (upload) => upload.send(new GrowingContent(bytes)) })
  const { key, cert, ca } = lab.clientCredentials
  const get = async (range?: string) => {
    const tls = { key, cert, ca: [...ca], ALPNProtocols: ['http/1.1'], checkServerIdentity: () => undefined }
    const headers = range === undefined ? {} : { range }
    const options = { ...tls, host: '127.0.0.1', port: lab.port, path: PATH, agent: false as const, headers }
    const sent = request(options).end()
    const [response] = await once(sent, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    const { 'content-length': length, 'content-range': contentRange } = response.headers
    return [
      response.statusCode,
      length,
      contentRange,
      Buffer.concat(chunks).equals(bytes.subarray(1000 - Number(length))),
    ]
  }
  assert.deepEqual(await get(), [200, '1000', undefined, true])
  assert.deepEqual(await get('bytes=0-'), [200, '1000', undefined, true])
  assert.deepEqual(await get('bytes=400-'), [206, '600', 'bytes 400-999/1000', true])
  assert.deepEqual(await get('bytes=1000-'), [416, '0', 'bytes */1000', true])
  assert.deepEqual(await get('bytes=5000-'), [416, '0', 'bytes */1000', true])
})

test('the reason of a refusal and a failure on the way both reach the member', async (t) => {
  let content: GrowingContent | undefined
  const lab = await peerLab(t, {
    onContent: async (upload) => {
      if (content === undefined) throw new Failure('disk', 'the disk\u001b is full')
      await upload.send(content)
    },
  })
  await assert.rejects(lab.download(new MemoryIntake()), {
    code: 'disk',
    message: 'answerer: the disk  is full',
  })
  assert.equal(lab.client.idleConnections.content, 1)
  content = new GrowingContent(randomBytes(1000), 600)
  const intake = new MemoryIntake({ room: 600 })
  const received = lab.download(intake)
  await intake.full()
  intake.drain()
  content.fail(new Failure('disk', 'the disk is full'))
  await assert.rejects(received, { code: 'unavailable', message: /answerer: the connection/ })
  assert.equal(intake.position, 600)
})
