import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { type SessionFault, SessionGuard } from '../../../src/lib/http2/session-guard.ts'

const KIB = 1024

/** A socket whose byte counters a test sets. */
class FakeSocket {
  bytesRead = 0
  bytesWritten = 0
  isDestroyed = false

  destroy(): void {
    this.isDestroyed = true
  }
}

function createGuard(maxStreams = 10) {
  const socket = new FakeSocket()
  const rejected: SessionFault[] = []
  const guard = new SessionGuard(socket as unknown as Socket, { maxStreams }, (reason) =>
    rejected.push(reason),
  )
  return { socket, rejected, guard }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('in each turn of the event loop as many streams are answered as may be open at once', async () => {
  const { guard, rejected } = createGuard()
  for (let turn = 0; turn < 5; turn += 1) {
    for (let i = 0; i < 10; i += 1) assert.equal(guard.onStreamOpened(), true)
    await nextTurn()
  }
  assert.deepEqual(rejected, [])
})

test('a connection that opens too many streams in one turn of the event loop is closed', () => {
  const { guard, socket, rejected } = createGuard()
  for (let i = 0; i < 40; i += 1) assert.equal(guard.onStreamOpened(), true)
  assert.equal(guard.onStreamOpened(), false)
  assert.equal(guard.onStreamOpened(), false)
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['streams'])
})

test('a connection that resets most of its streams before their answers is closed', async () => {
  const { guard, socket, rejected } = createGuard()
  for (let i = 0; i < 101; i += 1) {
    guard.onStreamOpened()
    guard.onStreamReset()
    await nextTurn()
  }
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['resets'])
})

test('a connection that resets a third of its streams stays open', async () => {
  const { guard, rejected } = createGuard()
  for (let i = 0; i < 5000; i += 1) {
    guard.onStreamOpened()
    if (i % 3 === 0) guard.onStreamReset()
    if (i % 5 === 0) await nextTurn()
  }
  assert.deepEqual(rejected, [])
})

test('a connection that sends many more bytes than its requests need is closed', () => {
  const { guard, socket, rejected } = createGuard()
  socket.bytesRead = 200 * KIB
  assert.equal(guard.checkTraffic(), true)
  socket.bytesRead += 100 * KIB
  assert.equal(guard.checkTraffic(), false)
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['frames'])
})

test('WINDOW_UPDATE frames in proportion to received bytes do not close the connection', () => {
  const { guard, socket, rejected } = createGuard()
  for (let i = 0; i < 100; i += 1) {
    socket.bytesWritten += 1024 * KIB
    socket.bytesRead += 10 * KIB
    guard.checkTraffic()
  }
  assert.deepEqual(rejected, [])
})

test('request headers of ordinary size do not close the connection', async () => {
  const { guard, socket, rejected } = createGuard()
  for (let i = 0; i < 500; i += 1) {
    socket.bytesRead += 6 * KIB
    guard.onStreamOpened()
    await nextTurn()
  }
  assert.deepEqual(rejected, [])
})
