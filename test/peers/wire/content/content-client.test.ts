import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'
import { isFailureOf, WANT } from '../../../../testkit/peer-lab.ts'
import { scriptedMember, wait } from '../scripted-member.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent'
const REASON = '{"is":"refused","code":"absent","message":"no"}'
const INVALID = /sent an invalid response with the status/

const response = (status: number, headers: readonly string[], body = '') =>
  `HTTP/1.1 ${status} X\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`

for (const [what, text, words] of [
  ['bytes that are no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', /not a status line/],
  ['a head that is too long', `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(70_000)}\r\n\r\n`, /too long/],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n', /Content-Length/],
  ['too many interim responses', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20), /interim/],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', /switch of protocols/],
  ['a body of undeclared length', 'HTTP/1.1 200 OK\r\n\r\ncontent', INVALID],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n', INVALID],
  ['a redirect', response(302, ['Location: https://elsewhere.test/', 'Content-Length: 0']), INVALID],
  ['no content', response(204, []), INVALID],
  ['an error without a reason', response(500, ['Content-Length: 0']), INVALID],
  ['an error with a reason that is no JSON', response(500, ['Content-Length: 2'], 'no'), INVALID],
  ['an error with a reason that is too long', response(500, ['Content-Length: 99999'], 'no'), INVALID],
  ['an error with an unknown code', response(404, ['Content-Length: 12'], '{"code":"x"}'), INVALID],
  [
    'a range that was not requested',
    response(206, ['Content-Range: bytes 3-9/10', 'Content-Length: 7'], 'content'),
    INVALID,
  ],
  [
    'a range that ends early',
    response(206, ['Content-Range: bytes 0-6/10', 'Content-Length: 7'], 'content'),
    INVALID,
  ],
  [
    'a range without its size',
    response(206, ['Content-Range: bytes 0-6/*', 'Content-Length: 7'], 'content'),
    INVALID,
  ],
  [
    'a range of another length',
    response(206, ['Content-Range: bytes 0-9/10', 'Content-Length: 7'], 'content'),
    INVALID,
  ],
  [
    'the end of the content at another offset',
    response(416, ['Content-Range: bytes */9', 'Content-Length: 0']),
    INVALID,
  ],
  ['fewer bytes than it has declared', OK.slice(0, -1), /the connection (ended|was closed)/],
  ['a part of a head', 'HTTP/1.1 200', /the connection (ended|was closed)/],
  ['nothing', '', /the connection (ended|was closed)/],
] as const) {
  test(`a member that sends ${what} is named in the failure, and its connection is not used again`, async (t) => {
    const { client, member } = await scriptedMember(t, (socket) => {
      socket.once('data', () => socket.end(text))
    })
    await assert.rejects(
      client.download(member, WANT, new MemoryIntake(), wait),
      isFailureOf('unavailable', words),
    )
    while (client.idleConnections.content > 0) await new Promise((resolve) => setImmediate(resolve))
  })
}

test('a 200 in place of the requested range brings no bytes', async (t) => {
  const { client, member } = await scriptedMember(
    t,
    (socket) => void socket.on('data', () => socket.write(OK)),
  )
  const intake = new MemoryIntake({ start: Buffer.from('con') })
  await assert.rejects(client.download(member, WANT, intake, wait), isFailureOf('unavailable', INVALID))
  assert.equal(intake.position, 3)
})

test('the request names the content, the registry, the range and the version of the protocol', async (t) => {
  const sent: string[] = []
  const { client, member } = await scriptedMember(t, (socket) => {
    socket.on('data', (bytes: Buffer) => {
      sent.push(bytes.toString())
      socket.write(response(206, ['Content-Range: bytes 3-6/7', 'Content-Length: 4'], 'tent'))
    })
  })
  const intake = new MemoryIntake({ start: Buffer.from('con') })
  await client.download(member, WANT, intake, wait)
  assert.equal(intake.bytes.toString(), 'content')
  assert.deepEqual(sent.join('').split('\r\n'), [
    `GET /v2/team/app/blobs/${WANT.digest}?ns=up.test HTTP/1.1`,
    'host: peer',
    'peer-protocol: 3',
    'range: bytes=3-',
    '',
    '',
  ])
})

test('a connection is reused after a content, and after a refusal', async (t) => {
  let n = 0
  const { client, member, sockets } = await scriptedMember(t, (socket) => {
    socket.on('data', () => {
      n += 1
      socket.write(n === 1 ? response(404, [`Content-Length: ${REASON.length}`], REASON) : OK)
    })
  })
  const take = () => client.download(member, WANT, new MemoryIntake(), wait)
  await assert.rejects(take(), isFailureOf('absent', /^answerer: no$/))
  await take()
  await take()
  assert.equal(sockets.length, 1)
})

test('a request over a broken idle connection is sent again over a new one, once', async (t) => {
  let asked = 0
  const { client, member, sockets } = await scriptedMember(t, (socket) => {
    socket.on('data', () => {
      asked += 1
      // The first connection breaks at the second request, the second one at the fourth, and the third one at once.
      if (asked === 2 || asked >= 4) socket.destroy()
      else socket.write(OK)
    })
  })
  const take = () => client.download(member, WANT, new MemoryIntake(), wait)
  await take()
  await take()
  assert.deepEqual([sockets.length, asked], [2, 3])
  await assert.rejects(take(), isFailureOf('unavailable', /./))
  assert.deepEqual([sockets.length, asked], [3, 5])
})

test('an idle connection on which bytes arrive is closed', async (t) => {
  const { client, member, sockets } = await scriptedMember(t, (socket) => {
    socket.on('data', () => socket.write(OK))
  })
  await client.download(member, WANT, new MemoryIntake(), wait)
  sockets[0]?.write(OK)
  while (client.idleConnections.content > 0) await new Promise((resolve) => setImmediate(resolve))
  await client.download(member, WANT, new MemoryIntake(), wait)
  assert.equal(sockets.length, 2)
})

test('a member that does not begin its response in time fails', async (t) => {
  const { client, member } = await scriptedMember(t, () => {})
  const late = client.download(member, WANT, new MemoryIntake(), { ...wait, ms: 50 })
  await assert.rejects(late, isFailureOf('unavailable', /sent nothing within 50 ms/))
})

test('closing the client fails the downloads under way and those that follow', async (t) => {
  const { client, member, sockets } = await scriptedMember(t, () => {})
  const take = () => client.download(member, WANT, new MemoryIntake(), wait)
  const under = take()
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  await assert.rejects(under, { code: 'stopping' })
  await assert.rejects(take(), { code: 'stopping' })
})
