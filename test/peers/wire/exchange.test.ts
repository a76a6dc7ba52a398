import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import type { PeerExchange } from '../../../src/peers/wire/exchange.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { GrowingContent } from '../../../testkit/memory/growing-content.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { isFailureOf, neverAborted, peerLab } from '../../../testkit/peer-lab.ts'
import { sending } from './sending.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }

test('both sides of an exchange may send messages at any time until one ends it', async (t) => {
  const received: unknown[] = []
  const { request: ask, clientCredentials } = await peerLab(t, {
    onExchange: async (first, exchange) => {
      received.push(first, exchange.member)
      exchange.send({ n: 1 })
      exchange.send({ n: 2 })
      for (let m = await exchange.receive(wait); m !== undefined; m = await exchange.receive(wait))
        received.push(m)
      exchange.send({ n: 3 })
    },
  })
  const { answer, exchange } = await ask({ ask: 'follow' })
  assert.deepEqual(answer, { n: 1 })
  exchange.send({ text: 'ä'.repeat(1000) })
  assert.deepEqual(await exchange.receive(wait), { n: 2 })
  exchange.end()
  assert.throws(() => exchange.send({}), /the exchange is over/)
  await assert.rejects(exchange.receive(wait), /the exchange is over/)
  const member = { name: 'asker', id: clientCredentials.id }
  // The second exchange begins when the first has ended on both sides.
  await ask({ ask: 'again' })
  assert.deepEqual(received.slice(0, 3), [{ ask: 'follow' }, member, { text: 'ä'.repeat(1000) }])
})

test('messages that arrive after the end of an exchange do not reach the next one', async (t) => {
  const { request: ask, client } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      exchange.send({ n: 1 })
      exchange.send({ ignored: true })
      assert.equal(await exchange.receive(wait), undefined)
      exchange.send({ late: true })
    },
  })
  for (let n = 0; n < 3; n += 1) {
    const { answer, exchange } = await ask()
    assert.deepEqual(answer, { n: 1 })
    exchange.end()
    while (client.idleConnections === 0) await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a content that fails ends with a refused message that has the reason, and the connection is reused', async (t) => {
  const content = new GrowingContent(randomBytes(1000), 600)
  const { request: ask, client } = await peerLab(t, { onExchange: sending(content) })
  const { exchange } = await ask()
  const intake = new MemoryIntake({ room: 600 })
  const received = exchange.receiveContent(intake, 1000, { signal })
  await intake.full()
  intake.drain()
  content.fail(new Failure('disk', 'the disk is full'))
  await assert.rejects(received, isFailureOf('disk', /the disk is full/))
  assert.equal(intake.position, 600)
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
  assert.equal(client.idleConnections, 1)
})

for (const [what, words, answer] of [
  [
    'ends early',
    /ended the exchange 900 bytes early/,
    (exchange: PeerExchange) => exchange.sendContent(new GrowingContent(Buffer.alloc(100)), 0, { signal }),
  ],
  [
    'sends more than it announced',
    /sent more than it had announced/,
    (exchange: PeerExchange) => exchange.sendContent(new GrowingContent(Buffer.alloc(1001)), 0, { signal }),
  ],
  [
    'sends a message in place of content',
    /sent an invalid message/,
    async (exchange: PeerExchange) => exchange.send({ is: 'nonsense' }),
  ],
  [
    'announces content in the middle of content',
    /a message in place of content/,
    async (exchange: PeerExchange) => exchange.send({ is: 'content', size: 1, mediaType: null }),
  ],
  [
    'disappears',
    /the connection (ended|was closed)|ECONNRESET/,
    async (exchange: PeerExchange) => exchange.destroy(),
  ],
] as const) {
  test(`a member that ${what} is named in the failure`, async (t) => {
    const { request: ask, client } = await peerLab(t, {
      onExchange: async (_request, exchange) => {
        exchange.send({ is: 'content' })
        await answer(exchange)
      },
    })
    const { exchange } = await ask()
    await assert.rejects(
      exchange.receiveContent(new MemoryIntake(), 1000, { signal }),
      isFailureOf('unavailable', words),
    )
    exchange.end()
    assert.ok(client.idleConnections <= 1)
  })
}

test('content in place of a message closes the connection', async (t) => {
  const { request: ask } = await peerLab(t, { onExchange: sending(new GrowingContent(Buffer.alloc(1000))) })
  const { exchange } = await ask()
  await assert.rejects(exchange.receive(wait), isFailureOf('unavailable', /content/))
  assert.ok(exchange.closed.aborted)
})

test('receive rejects after its deadline and may be called again', async (t) => {
  let speak = () => {}
  const { request: ask } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      exchange.send({ n: 1 })
      await new Promise<void>((resolve) => {
        speak = resolve
      })
      exchange.send({ n: 2 })
      await exchange.receive(wait)
    },
  })
  const { exchange } = await ask()
  await assert.rejects(
    exchange.receive({ signal, ms: 20 }),
    isFailureOf('unavailable', /nothing within 20 ms/),
  )
  speak()
  assert.deepEqual(await exchange.receive(wait), { n: 2 })
  exchange.end()
})

test('a peer that does not read its messages is disconnected', async (t) => {
  let thrown: unknown
  const { connect: speak } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      try {
        for (;;) exchange.send({ text: 'x'.repeat(60_000) })
      } catch (error) {
        thrown = error
      }
    },
  })
  const socket = speak()
  socket.pause()
  socket.write(Buffer.from([0, 0, 0, 2, 0, 0x7b, 0x7d]))
  socket.resume()
  await once(socket, 'close')
  assert.throws(
    () => {
      throw thrown
    },
    isFailureOf('stalled', /does not read its messages/, 'asker'),
  )
})
