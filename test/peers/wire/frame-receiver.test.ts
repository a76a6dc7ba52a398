import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { Inbound } from '../../../src/peers/wire/frame-receiver.ts'
import { messageFrame, overFrame, putBytesHead } from '../../../src/peers/wire/frames.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'

const { signal } = new AbortController()

function bytesFrame(content: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  putBytesHead(head, content.length)
  return Buffer.concat([head, content])
}

interface Fed {
  readonly inbound: Inbound
  broken: unknown
  /** What reads went straight into the intake. */
  direct: number
  /** Gives it these bytes as a socket would, in reads of these sizes. */
  feed(bytes: Buffer, sizes: readonly number[]): Promise<void>
}

function fed(intake?: MemoryIntake): Fed {
  let resume = () => {}
  const lab: Fed = {
    inbound: new Inbound({
      who: 'peer',
      pace: new RateLimiter(undefined),
      resume: () => resume(),
      broke: (reason) => {
        lab.broken = reason
      },
    }),
    broken: undefined,
    direct: 0,
    async feed(bytes, sizes) {
      let rest = bytes
      for (let n = 0; rest.length > 0 && lab.broken === undefined; n += 1) {
        if (lab.inbound.isBlocked) {
          await new Promise<void>((resolve) => {
            resume = resolve
          })
          continue
        }
        const room = lab.inbound.room()
        assert.ok(room.length > 0)
        const read = rest.subarray(0, Math.min(room.length, sizes[n % sizes.length] ?? 1))
        room.set(read)
        rest = rest.subarray(read.length)
        if (intake !== undefined && room.buffer === intake.buffer().buffer) lab.direct += read.length
        lab.inbound.filled(read.length)
        if (n % 3 === 0) await Promise.resolve()
      }
    },
  }
  return lab
}

const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 })
const frameSizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 })

test('messages and content come whole, however they are cut into frames and reads', async () => {
  await fc.assert(
    fc.asyncProperty(frameSizes, sizes, fc.integer({ min: 1, max: 700 }), async (cuts, reads, window) => {
      const frames = cuts.map((length) => randomBytes(length))
      const content = Buffer.concat(frames)
      const wire = [
        messageFrame({ is: 'content' }),
        ...frames.map(bytesFrame),
        messageFrame({ n: 2 }),
        overFrame(),
      ]
      const intake = new MemoryIntake({ window })
      const lab = fed(intake)
      const feeding = lab.feed(Buffer.concat(wire), reads)
      const wait = { signal, ms: 5000 }
      assert.deepEqual(await lab.inbound.receive(wait), { is: 'content' })
      await lab.inbound.pour(intake, content.length, { signal })
      assert.ok(intake.bytes.equals(content))
      assert.deepEqual(await lab.inbound.receive(wait), { n: 2 })
      assert.equal(await lab.inbound.receive(wait), undefined)
      await feeding
      assert.equal(lab.broken, undefined)
    }),
    { numRuns: 200 },
  )
})

test('content is read straight into the intake and heads never are', async () => {
  const intake = new MemoryIntake({ window: 4096 })
  const lab = fed(intake)
  const poured = lab.inbound.pour(intake, 30_000, { signal })
  const content = randomBytes(10_000)
  const frame = bytesFrame(content)
  await lab.feed(Buffer.concat([frame, frame, frame]), [1_000_000])
  await poured
  assert.equal(lab.direct, 30_000)
  assert.ok(intake.bytes.equals(Buffer.concat([content, content, content])))
})

test('an intake that is full is given nothing until it has room', async () => {
  const intake = new MemoryIntake({ window: 100, room: 100 })
  const lab = fed(intake)
  const content = randomBytes(1000)
  const poured = lab.inbound.pour(intake, content.length, { signal })
  const feeding = lab.feed(bytesFrame(content), [77])
  for (;;) {
    await Promise.race([intake.full(), poured])
    if (intake.position === content.length) break
    // What a TLS socket has decrypted comes all the same.
    assert.ok(lab.inbound.isBlocked)
    assert.notEqual(lab.inbound.room().buffer, intake.buffer().buffer)
    intake.drain()
  }
  await Promise.all([poured, feeding])
  assert.ok(intake.bytes.equals(content))
  assert.ok(intake.pauses >= 5)
})

test('what comes in spite of a pause is held back, but not without end', async () => {
  const intake = new MemoryIntake({ window: 1000, room: 1000 })
  const lab = fed(intake)
  const poured = lab.inbound.pour(intake, 1_000_000, { signal })
  const content = randomBytes(1_000_000)
  const frame = bytesFrame(content)
  for (let at = 0; at < 100_000; at += 50_000) lab.inbound.hear(frame.subarray(at, at + 50_000))
  assert.equal(intake.position, 1000)
  intake.drain()
  await intake.full()
  assert.ok(intake.bytes.equals(content.subarray(0, 2000)))
  for (let at = 100_000; lab.broken === undefined; at += 50_000) {
    assert.ok(at < 2_000_000, 'held for ever')
    lab.inbound.hear(Buffer.alloc(50_000))
  }
  await assert.rejects(poured, /more than it was asked for/)
})

test('messages that nobody receives stop the reading', async () => {
  const lab = fed()
  let sent = 0
  while (!lab.inbound.isBlocked) {
    assert.ok(sent < 1000)
    lab.inbound.hear(messageFrame({ n: sent }))
    sent += 1
  }
  for (let n = 0; n < sent; n += 1) {
    assert.deepEqual(await lab.inbound.receive({ signal, ms: 1000 }), { n })
  }
  assert.equal(lab.inbound.isBlocked, false)
})

test('large messages that nobody receives stop the reading sooner', async () => {
  const lab = fed()
  const large = 'x'.repeat(30_000)
  for (let n = 0; n < 3; n += 1) {
    assert.equal(lab.inbound.isBlocked, false)
    lab.inbound.hear(messageFrame({ n, large }))
  }
  assert.equal(lab.inbound.isBlocked, true)
  for (let n = 0; n < 3; n += 1) {
    assert.deepEqual(await lab.inbound.receive({ signal, ms: 1000 }), { n, large })
    assert.equal(lab.inbound.isBlocked, false)
  }
})

test('an intake that can take no more ends the connection', async () => {
  const intake = new MemoryIntake({ window: 100, room: 100 })
  const lab = fed(intake)
  const poured = lab.inbound.pour(intake, 1000, { signal })
  void lab.feed(bytesFrame(randomBytes(1000)), [100])
  await intake.full()
  const reason = Object.assign(new Error('disk full'), { code: 'disk' })
  intake.fail(reason as never)
  await assert.rejects(poured, /disk full/)
  assert.equal(lab.broken, reason)
})
