import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeerExchange } from '../../../../src/peers/wire/control/exchange.ts'
import { isFailureOf, neverAborted, peerLab } from '../../../../testkit/peer-lab.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('both sides of an exchange may send messages at any time until one ends it', async (t) => {
  const received: unknown[] = []
  let isOver = () => {}
  const over = new Promise<void>((resolve) => {
    isOver = resolve
  })
  const { request: ask, clientCredentials } = await peerLab(t, {
    onExchange: async (first, exchange) => {
      received.push(first, exchange.member)
      exchange.send({ n: 1 })
      exchange.send({ n: 2 })
      for (let m = await exchange.receive(wait); m !== undefined; m = await exchange.receive(wait))
        received.push(m)
      exchange.send({ n: 3 })
      isOver()
    },
  })
  const { answer, exchange } = await ask({ ask: 'follow' })
  assert.deepEqual(answer, { n: 1 })
  exchange.send({ text: 'ä'.repeat(1000) })
  assert.deepEqual(await exchange.receive(wait), { n: 2 })
  exchange.end()
  assert.throws(() => exchange.send({}), /the exchange is over/)
  await assert.rejects(exchange.receive(wait), /the exchange is over/)
  await over
  const member = { name: 'asker', id: clientCredentials.id }
  assert.deepEqual(received, [{ ask: 'follow' }, member, { text: 'ä'.repeat(1000) }])
})

test('exchanges at the same time do not mix, and share one connection', async (t) => {
  const { request: ask, client } = await peerLab(t, {
    onExchange: async (first, exchange) => {
      exchange.send({ answerTo: first })
      for (let m = await exchange.receive(wait); m !== undefined; m = await exchange.receive(wait))
        exchange.send({ echo: m })
    },
  })
  const all = await Promise.all(Array.from({ length: 100 }, (_, n) => ask({ n })))
  for (const [n, { answer, exchange }] of all.entries()) {
    assert.deepEqual(answer, { answerTo: { n } })
    exchange.send({ more: n })
  }
  for (const [n, { exchange }] of all.entries()) {
    assert.deepEqual(await exchange.receive(wait), { echo: { more: n } })
    exchange.end()
  }
  while (client.idleConnections.control === 0) await nextTurn()
  assert.equal(client.idleConnections.control, 1)
})

test('a member that ends the exchange early gives undefined, after its messages', async (t) => {
  const { request: ask } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      for (let n = 0; n < 3; n += 1) exchange.send({ n })
    },
  })
  const { answer, exchange } = await ask()
  assert.deepEqual(answer, { n: 0 })
  assert.deepEqual(await exchange.receive(wait), { n: 1 })
  assert.deepEqual(await exchange.receive(wait), { n: 2 })
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
})

test('a member that abandons the exchange is named in the failure', async (t) => {
  const { request: ask } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      exchange.send({ n: 0 })
      await exchange.receive(wait)
      exchange.destroy()
    },
  })
  const { exchange } = await ask()
  exchange.send({})
  await assert.rejects(exchange.receive(wait), isFailureOf('unavailable', /the exchange was closed/))
  assert.ok(exchange.closed.aborted)
})

test('the other side learns at once that this one has abandoned the exchange', async (t) => {
  let broken: Promise<unknown> | undefined
  const { request: ask } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      exchange.send({ n: 0 })
      broken = exchange.receive(wait)
      await broken
    },
  })
  const { exchange } = await ask()
  exchange.destroy()
  while (broken === undefined) await nextTurn()
  await assert.rejects(broken, isFailureOf('unavailable', /the exchange was closed/, 'asker'))
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

/** Sends large messages until one cannot be sent, and gives the error. */
async function flood(exchange: PeerExchange): Promise<unknown> {
  for (;;) {
    try {
      exchange.send({ text: 'x'.repeat(60_000) })
    } catch (error) {
      return error
    }
    await nextTurn()
  }
}

test('a peer that does not receive its messages is cut off, and its other exchanges go on', async (t) => {
  let thrown: unknown
  const { request: ask } = await peerLab(t, {
    onExchange: async (first, exchange) => {
      exchange.send({ n: 0 })
      if ((first as { flood?: boolean }).flood) thrown = await flood(exchange)
      else if ((await exchange.receive(wait)) !== undefined) exchange.send({ n: 1 })
    },
  })
  const other = await ask({})
  const { exchange } = await ask({ flood: true })
  while (!exchange.closed.aborted) await nextTurn()
  assert.ok(isFailureOf('stalled', /does not read its messages/, 'asker')(thrown))
  other.exchange.send({})
  assert.deepEqual(await other.exchange.receive(wait), { n: 1 })
  other.exchange.end()
})

test('messages that are not received stop the sender, and none of them is lost', async (t) => {
  const count = 500
  const { request: ask } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      for (let n = 0; n < count; n += 1) exchange.send({ n, text: 'x'.repeat(1000) })
      await exchange.receive(wait)
    },
  })
  const { answer, exchange } = await ask()
  assert.equal((answer as { n: number }).n, 0)
  for (let n = 1; n < count; n += 1) {
    assert.equal(((await exchange.receive(wait)) as { n: number }).n, n)
  }
  exchange.end()
})

test('many small messages are no flood', async (t) => {
  const [rounds, perRound] = [125, 400]
  const { request: ask } = await peerLab(t, {
    onExchange: async (_first, exchange) => {
      exchange.send({})
      for (let n = 1; (await exchange.receive(wait)) !== undefined; n += 1) {
        if (n % perRound === 0) exchange.send({})
      }
    },
  })
  const { exchange } = await ask()
  for (let round = 0; round < rounds; round += 1) {
    for (let n = 0; n < perRound; n += 1) {
      exchange.send({})
      // Messages of one turn would share a frame.
      await nextTurn()
    }
    await exchange.receive(wait)
  }
  // The server counts what it has received when another exchange begins.
  const other = await ask()
  other.exchange.end()
  assert.ok(!exchange.closed.aborted)
  exchange.end()
})

test('an exchange that the peer does not end in time is reset', async (t) => {
  let ended: PeerExchange | undefined
  const { request: ask } = await peerLab(t, {
    serverResources: { lingerMs: 50 },
    onExchange: async (_request, exchange) => {
      exchange.send({ n: 0 })
      ended = exchange
    },
  })
  const { exchange } = await ask()
  assert.equal(await exchange.receive(wait).catch(() => undefined), undefined)
  while (ended?.closed.aborted !== true) await nextTurn()
})
