import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import {
  type BodySink,
  BrokenBody,
  type ReceiveOptions,
  RequestBody,
} from '../../../src/registry-api/exchange/request-body.ts'

/** Takes `roomBytes`, and then nothing until the test drains it. */
class NarrowSink implements BodySink {
  readonly parts: Buffer[] = []
  readonly #roomBytes: number
  readonly #memory: Buffer
  #left: number
  #waiting = deferred()
  asked = deferred()

  constructor(roomBytes: number) {
    this.#roomBytes = roomBytes
    this.#left = roomBytes
    this.#memory = Buffer.alloc(roomBytes)
  }

  get text(): string {
    return Buffer.concat(this.parts).toString()
  }

  buffer(): Uint8Array {
    return this.#memory.subarray(0, this.#left)
  }

  filled(length: number): boolean {
    this.parts.push(Buffer.from(this.#memory.subarray(0, length)))
    this.#left -= length
    return this.#left > 0
  }

  drained(): Promise<void> {
    this.asked.resolve()
    return this.#waiting.promise
  }

  drain(): void {
    this.#left = this.#roomBytes
    this.asked = deferred()
    this.#waiting.resolve()
    this.#waiting = deferred()
  }

  fail(error: Error): void {
    this.#waiting.reject(error)
  }
}

interface Waiting {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

function deferred(): Waiting {
  let settle: Pick<Waiting, 'resolve' | 'reject'> = { resolve() {}, reject() {} }
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: () => settle.resolve(), reject: (error) => settle.reject(error) }
}

function options(given: Partial<ReceiveOptions> = {}): ReceiveOptions {
  return { stallMs: 600_000, signal: new AbortController().signal, onReceived: () => {}, ...given }
}

test('a body waits until its sink has room, in the middle of a chunk, too', async () => {
  const stream = new PassThrough()
  const sink = new NarrowSink(4)
  let askedFor = 0
  const body = new RequestBody(stream, 10, () => {
    askedFor += 1
  })
  const received = body.receive(sink, options())
  assert.equal(askedFor, 1)
  stream.end('0123456789')
  await sink.asked.promise
  assert.equal(sink.text, '0123')
  assert.equal(stream.isPaused(), true)
  sink.drain()
  await sink.asked.promise
  assert.equal(sink.text, '01234567')
  sink.drain()
  await received
  assert.equal(sink.text, '0123456789')
  assert.equal(body.isWhole, true)
})

test('a sink that fails ends the receiving with its error', async () => {
  const stream = new PassThrough()
  const sink = new NarrowSink(4)
  const received = new RequestBody(stream, undefined, () => {}).receive(sink, options())
  stream.write('012345')
  await sink.asked.promise
  sink.fail(new Error('the disk is full'))
  await assert.rejects(received, /the disk is full/)
})

test('a body that stops coming is broken, and the sink has what came', async () => {
  const stream = new PassThrough()
  const sink = new NarrowSink(100)
  const body = new RequestBody(stream, 10, () => {})
  stream.write('012')
  await assert.rejects(body.receive(sink, options({ stallMs: 20 })), BrokenBody)
  assert.equal(sink.text, '012')
  assert.equal(body.isBroken, true)
})

test('the time in which the sink takes nothing does not count as the time of the client', async () => {
  const stream = new PassThrough()
  const sink = new NarrowSink(4)
  const stallMs = 20
  const received = new RequestBody(stream, undefined, () => {}).receive(sink, options({ stallMs }))
  stream.end('0123')
  await sink.asked.promise
  await new Promise((resolve) => setTimeout(resolve, 5 * stallMs))
  sink.drain()
  await received
})

test('a client that leaves ends the receiving, and nothing is put into the sink after that', async () => {
  const stream = new PassThrough()
  const sink = new NarrowSink(4)
  const leaving = new AbortController()
  const body = new RequestBody(stream, undefined, () => {})
  const received = body.receive(sink, options({ signal: leaving.signal }))
  stream.write('01234567')
  await sink.asked.promise
  leaving.abort(new Error('the client has left'))
  await assert.rejects(received, /the client has left/)
  sink.drain()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(sink.text, '0123')
  await assert.rejects(body.receive(sink, options({ signal: leaving.signal })), /the client has left/)
})

test('a body that is broken off before or while it is received is refused', async () => {
  for (const isBefore of [true, false]) {
    const body = new RequestBody(new PassThrough(), 10, () => {})
    const cut = () => body.breakOff(new BrokenBody('cut'))
    if (isBefore) cut()
    const received = body.receive(new NarrowSink(4), options())
    if (!isBefore) cut()
    await assert.rejects(received, BrokenBody)
    assert.equal(body.isBroken, true)
  }
})

test('a body without bytes is whole at once, also when its stream has ended before', async () => {
  const empty = new RequestBody(new PassThrough(), 0, () => assert.fail('nobody is asked for nothing'))
  await empty.receive(new NarrowSink(1), options())
  const stream = new PassThrough()
  stream.end()
  stream.resume()
  await once(stream, 'end')
  const ended = new RequestBody(stream, undefined, () => {})
  await ended.receive(new NarrowSink(1), options())
  assert.equal(ended.isWhole, true)
})

test('the end of a stream does not cut off what its sink has no room for yet', async () => {
  const stream = new Readable({ read() {} })
  stream.push('0123456789')
  stream.push(null)
  const sink = new NarrowSink(4)
  const body = new RequestBody(stream, 10, () => {})
  const ended = once(stream, 'end')
  const received = body.receive(sink, options())
  await sink.asked.promise
  // Node ends a stream whose last part was read, although it is paused.
  await ended
  assert.equal(body.isWhole, false)
  sink.drain()
  await sink.asked.promise
  sink.drain()
  await received
  assert.equal(sink.text, '0123456789')
})
