import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Rejection } from '../../../src/observe/events.ts'
import { SessionGuard } from '../../../src/registry-api/connections/session-guard.ts'

const KIB = 1024

/** A connection whose counters a test sets. */
class Counted {
  bytesRead = 0
  bytesWritten = 0
  isDestroyed = false

  destroy(): void {
    this.isDestroyed = true
  }
}

function guarded(maxStreams = 10) {
  const socket = new Counted()
  const rejected: Rejection[] = []
  const guard = new SessionGuard(socket as unknown as Socket, { maxStreams }, (reason) =>
    rejected.push(reason),
  )
  return { socket, rejected, guard }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('as many streams as may be open are answered in each turn of the event loop', async () => {
  const { guard, rejected } = guarded()
  for (let turn = 0; turn < 5; turn += 1) {
    for (let i = 0; i < 10; i += 1) assert.equal(guard.opened(), true)
    await nextTurn()
  }
  assert.deepEqual(rejected, [])
})

test('a connection that opens more streams at once than may be open is ended', () => {
  const { guard, socket, rejected } = guarded()
  for (let i = 0; i < 40; i += 1) assert.equal(guard.opened(), true)
  assert.equal(guard.opened(), false)
  assert.equal(guard.opened(), false)
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['streams'])
})

test('a connection that resets most of its streams before their answers is ended', async () => {
  const { guard, socket, rejected } = guarded()
  for (let i = 0; i < 101; i += 1) {
    guard.opened()
    guard.wasReset()
    await nextTurn()
  }
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['resets'])
})

test('a connection that resets some of its streams goes on, for as long as it likes', async () => {
  const { guard, rejected } = guarded()
  for (let i = 0; i < 5000; i += 1) {
    guard.opened()
    if (i % 3 === 0) guard.wasReset()
    if (i % 5 === 0) await nextTurn()
  }
  assert.deepEqual(rejected, [])
})

test('a connection that sends more than its requests need is ended', () => {
  const { guard, socket, rejected } = guarded()
  socket.bytesRead = 200 * KIB
  assert.equal(guard.look(), true)
  socket.bytesRead += 100 * KIB
  assert.equal(guard.look(), false)
  assert.equal(socket.isDestroyed, true)
  assert.deepEqual(rejected, ['frames'])
})

test('a client may open its windows again for what it has received', () => {
  const { guard, socket, rejected } = guarded()
  for (let i = 0; i < 100; i += 1) {
    socket.bytesWritten += 1024 * KIB
    socket.bytesRead += 10 * KIB
    guard.look()
  }
  assert.deepEqual(rejected, [])
})

test('headers of an ordinary size are no reason to end a connection', async () => {
  const { guard, socket, rejected } = guarded()
  for (let i = 0; i < 500; i += 1) {
    socket.bytesRead += 6 * KIB
    guard.opened()
    await nextTurn()
  }
  assert.deepEqual(rejected, [])
})
