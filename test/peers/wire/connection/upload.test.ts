import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { RateLimiter } from '../../../../src/lib/async/rate-limiter.ts'
import { SendBuffers } from '../../../../src/peers/wire/connection/send-buffers.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { GrowingContent } from '../../../../testkit/memory/growing-content.ts'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'
import { isFailureOf, neverAborted, peerLab } from '../../../../testkit/peer-lab.ts'
import { sending } from '../sending.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }

test('a content arrives unchanged from any offset', async (t) => {
  const bytes = randomBytes(3_000_001)
  const content = new GrowingContent(bytes)
  for (const from of [0, 1, 262_144, 3_000_000, 3_000_001]) {
    await t.test(`${from}`, async (t) => {
      const { request: ask } = await peerLab(t, {
        onExchange: (_request, exchange) => {
          exchange.send({ is: 'content' })
          return exchange.sendContent(content, from, { signal })
        },
      })
      const { exchange } = await ask()
      const intake = new MemoryIntake({ window: 1024 * 1024 })
      await exchange.receiveContent(intake, bytes.length - from, { signal })
      assert.equal(await exchange.receive(wait), undefined)
      exchange.end()
      assert.ok(intake.bytes.equals(bytes.subarray(from)))
    })
  }
})

test('a growing content is sent byte by byte as it becomes readable', async (t) => {
  const bytes = randomBytes(1000)
  const content = new GrowingContent(bytes, 0)
  const { request: ask } = await peerLab(t, { onExchange: sending(content) })
  const { exchange } = await ask()
  const intake = new MemoryIntake({ room: 1 })
  const received = exchange.receiveContent(intake, bytes.length, { signal })
  for (let end = 1; end <= 50; end += 1) {
    content.grow(end)
    await intake.full()
    assert.equal(intake.position, end)
    if (end < 50) intake.drain()
  }
  content.grow(bytes.length)
  const drained = setInterval(() => intake.drain(), 0)
  await received.finally(() => clearInterval(drained))
  assert.ok(intake.bytes.equals(bytes))
})

test('a receiver that aborts a content closes the connection, and the sender stops', async (t) => {
  const content = new GrowingContent(randomBytes(1000), 600)
  let sent: Promise<void> | undefined
  const { request: ask } = await peerLab(t, {
    onExchange: (first, exchange) => {
      sent = sending(content)(first, exchange)
      return sent
    },
  })
  const { exchange } = await ask()
  const abort = new AbortController()
  const intake = new MemoryIntake({ room: 600 })
  const received = exchange.receiveContent(intake, 1000, { signal: abort.signal })
  await intake.full()
  abort.abort(new Failure('stalled', 'no progress'))
  await assert.rejects(received, /no progress/)
  await assert.rejects(sent ?? Promise.resolve(), isFailureOf('unavailable', /./, 'asker'))
  assert.ok(exchange.closed.aborted)
})

test('a sender that aborts a content closes the connection', async (t) => {
  const abort = new AbortController()
  const content = new GrowingContent(randomBytes(1000), 600)
  const { request: ask } = await peerLab(t, {
    onExchange: (_request, exchange) => {
      exchange.send({})
      return exchange.sendContent(content, 0, { signal: abort.signal })
    },
  })
  const { exchange } = await ask()
  const intake = new MemoryIntake({ room: 600 })
  const received = exchange.receiveContent(intake, 1000, { signal })
  await intake.full()
  intake.drain()
  abort.abort(new Failure('stopping', 'stopping'))
  await assert.rejects(received, isFailureOf('unavailable', /./))
})

test('a receiver that stops reading is disconnected, and its send buffers are freed', async (t) => {
  const content = new GrowingContent(Buffer.alloc(64 * 1024 * 1024))
  const sendBuffers = new SendBuffers(4 * 1024 * 1024)
  let sent: Promise<void> | undefined
  const { request: ask } = await peerLab(t, {
    serverResources: { stallMs: 100, sendBuffers },
    onExchange: (first, exchange) => {
      sent = sending(content)(first, exchange)
      return sent
    },
  })
  const { exchange } = await ask()
  const intake = new MemoryIntake({ window: 1024 * 1024, room: 1 })
  const received = exchange.receiveContent(intake, content.size, { signal })
  received.catch(() => {})
  await assert.rejects(
    sent ?? Promise.resolve(),
    isFailureOf('stalled', /does not read the content/, 'asker'),
  )
  // Unsent buffers are released when the socket has been closed.
  while (sendBuffers.lentCount > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('all transfers together stay below the rate limits, in both directions', async (t) => {
  const rate = 4_000_000
  const bytes = randomBytes(600_000)
  for (const direction of ['upload', 'download'] as const) {
    const limited = { [`${direction}Limiter`]: new RateLimiter(rate) }
    const { request: ask } = await peerLab(t, {
      ...(direction === 'upload' ? { serverResources: limited } : { clientResources: limited }),
      onExchange: sending(new GrowingContent(bytes)),
    })
    const begin = performance.now()
    const took = await Promise.all(
      [1, 2, 3].map(async () => {
        const { exchange } = await ask()
        const intake = new MemoryIntake()
        await exchange.receiveContent(intake, bytes.length, { signal })
        exchange.end()
        assert.ok(intake.bytes.equals(bytes))
        return performance.now() - begin
      }),
    )
    const least = (1000 * (3 * bytes.length - 0.2 * rate)) / rate
    assert.ok(Math.max(...took) >= least, `${direction}: ${took.map(Math.round)} ms, at least ${least}`)
  }
})

test('a peer server sends many contents at the same time', async (t) => {
  const bytes = randomBytes(1_000_000)
  const sendBuffers = new SendBuffers(1024 * 1024)
  const { request: ask, client } = await peerLab(t, {
    serverResources: { sendBuffers },
    onExchange: sending(new GrowingContent(bytes)),
  })
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { exchange } = await ask()
      const intake = new MemoryIntake()
      await exchange.receiveContent(intake, bytes.length, { signal })
      assert.equal(await exchange.receive(wait), undefined)
      exchange.end()
      assert.ok(intake.bytes.equals(bytes))
    }),
  )
  assert.equal(client.idleConnections, 8)
  // The sender may not know yet that the last bytes have arrived.
  while (sendBuffers.lentCount > 0) await new Promise((resolve) => setImmediate(resolve))
})
