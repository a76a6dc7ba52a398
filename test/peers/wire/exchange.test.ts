import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import type { Line } from '../../../src/peers/wire/exchange.ts'
import { Pieces } from '../../../src/peers/wire/send-buffers.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { failure, GrowingContent, peerLab, unending } from '../../../testkit/peer-lab.ts'

const signal = unending()
const wait = { signal, ms: 60_000 }

/** Answers with a content from the start. */
function sending(content: GrowingContent) {
  return async (_first: unknown, line: Line): Promise<void> => {
    line.send({ is: 'content', size: content.size, mediaType: null })
    await line.sendContent(content, 0, { signal })
  }
}

test('both sides may speak at any time until one ends it', async (t) => {
  const heard: unknown[] = []
  const { ask, asking } = await peerLab(t, {
    onExchange: async (first, line) => {
      heard.push(first, line.member)
      line.send({ n: 1 })
      line.send({ n: 2 })
      for (let m = await line.receive(wait); m !== undefined; m = await line.receive(wait)) heard.push(m)
      line.send({ n: 3 })
    },
  })
  const { answer, line } = await ask({ ask: 'follow' })
  assert.deepEqual(answer, { n: 1 })
  line.send({ news: 'ä'.repeat(1000) })
  assert.deepEqual(await line.receive(wait), { n: 2 })
  line.end()
  assert.throws(() => line.send({}), /the exchange is over/)
  await assert.rejects(line.receive(wait), /the exchange is over/)
  const member = { name: 'asker', id: asking.id }
  // The second exchange begins when the first has been answered to its end.
  await ask({ ask: 'again' })
  assert.deepEqual(heard.slice(0, 3), [{ ask: 'follow' }, member, { news: 'ä'.repeat(1000) }])
})

test('what is said too late does not reach the next exchange', async (t) => {
  const { ask, dialer } = await peerLab(t, {
    onExchange: async (_first, line) => {
      line.send({ n: 1 })
      line.send({ unheard: true })
      assert.equal(await line.receive(wait), undefined)
      line.send({ late: true })
    },
  })
  for (let n = 0; n < 3; n += 1) {
    const { answer, line } = await ask()
    assert.deepEqual(answer, { n: 1 })
    line.end()
    while (dialer.idle === 0) await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a content arrives as it is, from whatever offset', async (t) => {
  const bytes = randomBytes(3_000_001)
  const content = new GrowingContent(bytes)
  for (const from of [0, 1, 262_144, 3_000_000, 3_000_001]) {
    await t.test(`${from}`, async (t) => {
      const { ask } = await peerLab(t, {
        onExchange: (_first, line) => {
          line.send({ is: 'content' })
          return line.sendContent(content, from, { signal })
        },
      })
      const { line } = await ask()
      const intake = new MemoryIntake({ window: 1024 * 1024 })
      await line.pour(intake, bytes.length - from, { signal })
      assert.equal(await line.receive(wait), undefined)
      line.end()
      assert.ok(intake.bytes.equals(bytes.subarray(from)))
    })
  }
})

test('what grows is passed on byte by byte as it comes', async (t) => {
  const bytes = randomBytes(1000)
  const content = new GrowingContent(bytes, 0)
  const { ask } = await peerLab(t, { onExchange: sending(content) })
  const { line } = await ask()
  const intake = new MemoryIntake({ room: 1 })
  const poured = line.pour(intake, bytes.length, { signal })
  for (let here = 1; here <= 50; here += 1) {
    content.grow(here)
    await intake.full()
    assert.equal(intake.position, here)
    if (here < 50) intake.drain()
  }
  content.grow(bytes.length)
  const drained = setInterval(() => intake.drain(), 0)
  await poured.finally(() => clearInterval(drained))
  assert.ok(intake.bytes.equals(bytes))
})

test('a content that fails is told with its reason, and the connection stays', async (t) => {
  const content = new GrowingContent(randomBytes(1000), 600)
  const { ask, dialer } = await peerLab(t, { onExchange: sending(content) })
  const { line } = await ask()
  const intake = new MemoryIntake({ room: 600 })
  const poured = line.pour(intake, 1000, { signal })
  await intake.full()
  intake.drain()
  content.fail(new Failure('disk', 'the disk is full'))
  await assert.rejects(poured, failure('disk', /the disk is full/))
  assert.equal(intake.position, 600)
  assert.equal(await line.receive(wait), undefined)
  line.end()
  assert.equal(dialer.idle, 1)
})

for (const [what, words, answer] of [
  [
    'ends early',
    /an end that is 900 bytes early/,
    (line: Line) => line.sendContent(new GrowingContent(Buffer.alloc(100)), 0, { signal }),
  ],
  [
    'sends more than it said',
    /more than it had said/,
    (line: Line) => line.sendContent(new GrowingContent(Buffer.alloc(1001)), 0, { signal }),
  ],
  [
    'sends a message in place of content',
    /not understood here/,
    async (line: Line) => line.send({ is: 'nonsense' }),
  ],
  [
    'announces content in the middle of content',
    /a message in place of content/,
    async (line: Line) => line.send({ is: 'content', size: 1, mediaType: null }),
  ],
  ['disappears', /the connection (ended|was closed)|ECONNRESET/, async (line: Line) => line.destroy()],
] as const) {
  test(`a member that ${what} is named in the failure`, async (t) => {
    const { ask, dialer } = await peerLab(t, {
      onExchange: async (_first, line) => {
        line.send({ is: 'content' })
        await answer(line)
      },
    })
    const { line } = await ask()
    await assert.rejects(line.pour(new MemoryIntake(), 1000, { signal }), failure('unavailable', words))
    line.end()
    assert.ok(dialer.idle <= 1)
  })
}

test('content in place of a message breaks the connection', async (t) => {
  const { ask } = await peerLab(t, { onExchange: sending(new GrowingContent(Buffer.alloc(1000))) })
  const { line } = await ask()
  await assert.rejects(line.receive(wait), failure('unavailable', /content/))
  assert.ok(line.gone.aborted)
})

test('a member that says nothing is waited for as long as was said, and may say it later', async (t) => {
  let speak = () => {}
  const { ask } = await peerLab(t, {
    onExchange: async (_first, line) => {
      line.send({ n: 1 })
      await new Promise<void>((resolve) => {
        speak = resolve
      })
      line.send({ n: 2 })
      await line.receive(wait)
    },
  })
  const { line } = await ask()
  await assert.rejects(line.receive({ signal, ms: 20 }), failure('unavailable', /nothing within 20 ms/))
  speak()
  assert.deepEqual(await line.receive(wait), { n: 2 })
  line.end()
})

test('who no longer wants a content takes the connection away, and the sender stops', async (t) => {
  const content = new GrowingContent(randomBytes(1000), 600)
  let sent: Promise<void> | undefined
  const { ask } = await peerLab(t, {
    onExchange: (first, line) => {
      sent = sending(content)(first, line)
      return sent
    },
  })
  const { line } = await ask()
  const abort = new AbortController()
  const intake = new MemoryIntake({ room: 600 })
  const poured = line.pour(intake, 1000, { signal: abort.signal })
  await intake.full()
  abort.abort(new Failure('stalled', 'no progress'))
  await assert.rejects(poured, /no progress/)
  await assert.rejects(sent ?? Promise.resolve(), failure('unavailable', /./, 'asker'))
  assert.ok(line.gone.aborted)
})

test('a sender that is stopped takes the connection away', async (t) => {
  const abort = new AbortController()
  const content = new GrowingContent(randomBytes(1000), 600)
  const { ask } = await peerLab(t, {
    onExchange: (_first, line) => {
      line.send({})
      return line.sendContent(content, 0, { signal: abort.signal })
    },
  })
  const { line } = await ask()
  const intake = new MemoryIntake({ room: 600 })
  const poured = line.pour(intake, 1000, { signal })
  await intake.full()
  intake.drain()
  abort.abort(new Failure('stopping', 'stopping'))
  await assert.rejects(poured, failure('unavailable', /./))
})

test('who takes nothing of what it asked for is given up, and its memory is free again', async (t) => {
  const content = new GrowingContent(Buffer.alloc(64 * 1024 * 1024))
  const pieces = new Pieces(4 * 1024 * 1024)
  let sent: Promise<void> | undefined
  const { ask } = await peerLab(t, {
    traffic: { stallMs: 100, pieces },
    onExchange: (first, line) => {
      sent = sending(content)(first, line)
      return sent
    },
  })
  const { line } = await ask()
  const intake = new MemoryIntake({ window: 1024 * 1024, room: 1 })
  const poured = line.pour(intake, content.size, { signal })
  poured.catch(() => {})
  await assert.rejects(sent ?? Promise.resolve(), failure('stalled', /takes nothing/, 'asker'))
  // What was still to be written is given back when the socket has been closed.
  while (pieces.lent > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('what is said to somebody who does not listen is not kept for ever', async (t) => {
  let told: unknown
  const { speak } = await peerLab(t, {
    onExchange: async (_first, line) => {
      try {
        for (;;) line.send({ text: 'x'.repeat(60_000) })
      } catch (error) {
        told = error
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
      throw told
    },
    failure('stalled', /does not listen/, 'asker'),
  )
})

test('all transfers together keep to the caps, in both directions', async (t) => {
  const rate = 4_000_000
  const bytes = randomBytes(600_000)
  for (const direction of ['upload', 'download'] as const) {
    const capped = { [direction]: new RateLimiter(rate) }
    const { ask } = await peerLab(t, {
      ...(direction === 'upload' ? { traffic: capped } : { asking: capped }),
      onExchange: sending(new GrowingContent(bytes)),
    })
    const begin = performance.now()
    const took = await Promise.all(
      [1, 2, 3].map(async () => {
        const { line } = await ask()
        const intake = new MemoryIntake()
        await line.pour(intake, bytes.length, { signal })
        line.end()
        assert.ok(intake.bytes.equals(bytes))
        return performance.now() - begin
      }),
    )
    const least = (1000 * (3 * bytes.length - 0.2 * rate)) / rate
    assert.ok(Math.max(...took) >= least, `${direction}: ${took.map(Math.round)} ms, at least ${least}`)
  }
})

test('many transfers go over a door at the same time', async (t) => {
  const bytes = randomBytes(1_000_000)
  const pieces = new Pieces(1024 * 1024)
  const { ask, dialer } = await peerLab(t, {
    traffic: { pieces },
    onExchange: sending(new GrowingContent(bytes)),
  })
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { line } = await ask()
      const intake = new MemoryIntake()
      await line.pour(intake, bytes.length, { signal })
      assert.equal(await line.receive(wait), undefined)
      line.end()
      assert.ok(intake.bytes.equals(bytes))
    }),
  )
  assert.equal(dialer.idle, 8)
  // Who sends may not have heard yet that it was all taken.
  while (pieces.lent > 0) await new Promise((resolve) => setImmediate(resolve))
})
