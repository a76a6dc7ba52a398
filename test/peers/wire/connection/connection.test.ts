import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { endFrame, messageFrame, writeContentHead } from '../../../../src/peers/wire/protocol/frames.ts'
import { isFailureOf, neverAborted, peerLab, receivedUntilClosed } from '../../../../testkit/peer-lab.ts'
import { assertServesMembers, recordingServer, until } from '../recording-server.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }

for (const [what, bytes] of [
  ['a message that is too long', Buffer.from([0, 1, 0, 1, 0])],
  ['a frame of an unknown kind', Buffer.from([0, 0, 0, 1, 9, 1])],
  ['a message that is not JSON', Buffer.from([0, 0, 0, 1, 0, 0x7b])],
  ['content that was not requested', Buffer.from([0, 0, 0, 1, 1, 1])],
  ['an end before any request', endFrame()],
] as const) {
  test(`a member that sends ${what} is disconnected`, async (t) => {
    const lab = await recordingServer(t, { firstRequestMs: 60_000 })
    const socket = lab.connect()
    socket.write(bytes)
    assert.equal((await receivedUntilClosed(socket)).length, 0)
    await assertServesMembers(lab)
  })
}

test('a member that sends no request is disconnected', async (t) => {
  const lab = await recordingServer(t, { firstRequestMs: 100 })
  const silent = lab.connect()
  const slow = lab.connect()
  slow.write(Buffer.from([0, 0, 0, 9, 0, 0x7b]))
  assert.deepEqual(
    (await Promise.all([receivedUntilClosed(silent), receivedUntilClosed(slow)])).map(String),
    ['', ''],
  )
})

test('an idle connection is closed', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const socket = lab.connect()
  socket.write(Buffer.concat([messageFrame({ ask: 'hello' }), endFrame()]))
  const received = await receivedUntilClosed(socket)
  assert.deepEqual(received, Buffer.concat([messageFrame({ secret: 'something' }), endFrame()]))
})

test('the next request may follow in the same packet as the end of the previous exchange', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const socket = lab.connect()
  socket.write(messageFrame({ n: 1 }))
  await until(() => lab.requests.length === 1)
  socket.write(Buffer.concat([endFrame(), messageFrame({ n: 2 }), endFrame()]))
  const one = Buffer.concat([messageFrame({ secret: 'something' }), endFrame()])
  assert.deepEqual(await receivedUntilClosed(socket), Buffer.concat([one, one]))
  assert.deepEqual(lab.requests, [{ n: 1 }, { n: 2 }])
})

test('a member that sends a message after its own end is disconnected', async (t) => {
  let ended: Promise<unknown> | undefined
  const lab = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      ended = exchange.receive(wait)
      await ended
      if (!exchange.closed.aborted) await once(exchange.closed, 'abort')
    },
  })
  const socket = lab.connect()
  socket.write(Buffer.concat([messageFrame({}), endFrame(), messageFrame({})]))
  await receivedUntilClosed(socket)
  assert.equal(await ended, undefined)
})

test('a member that does not end an exchange in time is disconnected', async (t) => {
  const { connect: speak } = await peerLab(t, {
    serverResources: { lingerMs: 100 },
    onExchange: async () => {},
  })
  const socket = speak()
  socket.write(messageFrame({}))
  assert.deepEqual(await receivedUntilClosed(socket), endFrame())
})

test('a content frame without its bytes fails only its own connection', async (t) => {
  let failed: unknown
  const { connect: speak } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      await exchange.receive({ signal, ms: 100 }).catch((error: unknown) => {
        failed = error
      })
    },
  })
  const socket = speak()
  const head = Buffer.alloc(5)
  writeContentHead(head, 1000)
  socket.write(Buffer.concat([messageFrame({}), head]))
  await receivedUntilClosed(socket)
  assert.throws(
    () => {
      throw failed
    },
    isFailureOf('unavailable', /content/, 'asker'),
  )
})
