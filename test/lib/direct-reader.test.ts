import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { DirectReader } from '../../src/lib/direct-reader.ts'

const HELD_LIMIT = 1024 * 1024

/** A protocol that takes bytes as text, and gives memory for as many bytes as the test says. */
class Listener {
  readonly reader: DirectReader
  isBlocked = false
  /** How many of the next bytes go to memory of the protocol. */
  wanted = 0
  /** The most other bytes that are read at a time. */
  most = Number.POSITIVE_INFINITY
  /** The most bytes that the protocol takes in one step. */
  step = Number.POSITIVE_INFINITY
  taken = ''
  direct = ''
  readonly #memory = Buffer.alloc(16)

  constructor() {
    this.reader = new DirectReader({
      isBlocked: () => this.isBlocked,
      room: () => (this.wanted === 0 ? this.most : this.#memory.subarray(0, this.wanted)),
      filled: (length) => {
        this.wanted -= length
        this.direct += this.#memory.toString('latin1', 0, length)
      },
      take: (bytes) => {
        const length = Math.min(bytes.length, this.step)
        this.taken += bytes.toString('latin1', 0, length)
        return length
      },
      overflowError: () => new Error('too much'),
    })
  }

  /** Gives bytes to the reader as a socket does. */
  read(text: string): void {
    const room = this.reader.room()
    const bytes = Buffer.from(text, 'latin1')
    assert.ok(room.length >= bytes.length)
    room.set(bytes)
    this.reader.filled(bytes.length)
  }
}

test('bytes go to the memory of the protocol, and all others to memory of the reader', () => {
  const listener = new Listener()
  listener.read('head')
  listener.wanted = 4
  listener.read('bo')
  listener.read('dy')
  listener.read('tail')
  assert.deepEqual([listener.taken, listener.direct], ['headtail', 'body'])
})

test('no more bytes are read at a time than the protocol wants, and the memory is never empty', () => {
  const listener = new Listener()
  listener.wanted = 3
  assert.equal(listener.reader.room().length, 3)
  listener.wanted = 0
  listener.most = 5
  assert.equal(listener.reader.room().length, 5)
  listener.most = Number.POSITIVE_INFINITY
  assert.ok(listener.reader.room().length > 5)
  listener.isBlocked = true
  listener.wanted = 3
  assert.ok(listener.reader.room().length > 5, 'while it is blocked none of its memory is given out')
})

test('bytes that come while the protocol is blocked stay unread, and are taken first afterwards', () => {
  const listener = new Listener()
  listener.isBlocked = true
  listener.wanted = 4
  listener.read('one ')
  // The socket uses the same memory again.
  listener.read('two ')
  assert.deepEqual([listener.taken, listener.reader.unreadBytes], ['', 8])
  listener.isBlocked = false
  listener.wanted = 0
  listener.reader.resume()
  listener.read('three')
  assert.deepEqual([listener.taken, listener.reader.unreadBytes], ['one two three', 0])
})

test('bytes are taken step by step until the protocol is blocked', () => {
  const listener = new Listener()
  const { reader } = listener
  listener.step = 2
  reader.receive(Buffer.from('abcde'))
  assert.equal(listener.taken, 'abcde')
  const once = new DirectReader({
    isBlocked: () => listener.isBlocked,
    room: () => 1,
    filled: () => {},
    take: () => {
      listener.isBlocked = true
      return 2
    },
    overflowError: () => new Error('too much'),
  })
  once.receive(Buffer.from('abcde'))
  assert.equal(once.unreadBytes, 3)
  once.dropUnread()
  assert.equal(once.unreadBytes, 0)
})

test('more unread bytes than a socket may deliver after a pause are an error', () => {
  const listener = new Listener()
  listener.isBlocked = true
  listener.reader.receive(Buffer.alloc(HELD_LIMIT))
  assert.throws(() => listener.reader.receive(Buffer.alloc(1)), /too much/)
})

test('a socket reads all bytes, whatever the chunks in which they come', async (t) => {
  const bytes = 'x'.repeat(40) + 'y'.repeat(200_000)
  const server = createServer((socket) => void socket.end(bytes)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const listener = new Listener()
  listener.wanted = 10
  const { port } = server.address() as { port: number }
  const socket = connect({
    host: '127.0.0.1',
    port,
    onread: {
      buffer: () => listener.reader.room(),
      callback: (length: number) => {
        listener.reader.filled(length)
        return true
      },
    },
  })
  await once(socket, 'close')
  assert.equal(listener.direct, 'x'.repeat(10))
  assert.ok(listener.taken === bytes.slice(10))
})
