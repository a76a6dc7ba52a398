import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { RateLimiter } from '../../../../src/lib/async/rate-limiter.ts'
import { FrameReceiver } from '../../../../src/peers/wire/connection/frame-receiver.ts'
import { endFrame, messageFrame, writeContentHead } from '../../../../src/peers/wire/protocol/frames.ts'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'

const { signal } = new AbortController()

function contentFrame(content: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  writeContentHead(head, content.length)
  return Buffer.concat([head, content])
}

interface FedReceiver {
  readonly receiver: FrameReceiver
  broken: unknown
  /** How many bytes were read straight into the intake. */
  directBytes: number
  /** Gives the receiver these bytes as a socket would, in reads of these sizes. */
  feed(bytes: Buffer, sizes: readonly number[]): Promise<void>
}

function fedReceiver(intake?: MemoryIntake): FedReceiver {
  let resume = () => {}
  const lab: FedReceiver = {
    receiver: new FrameReceiver({
      peerName: 'peer',
      limiter: new RateLimiter(undefined),
      reading: { pause: () => {}, resume: () => resume() },
      onBroken: (reason) => {
        lab.broken = reason
      },
    }),
    broken: undefined,
    directBytes: 0,
    async feed(bytes, sizes) {
      let rest = bytes
      for (let n = 0; rest.length > 0 && lab.broken === undefined; n += 1) {
        if (lab.receiver.isBlocked) {
          await new Promise<void>((resolve) => {
            resume = resolve
          })
          continue
        }
        const buffer = lab.receiver.buffer()
        assert.ok(buffer.length > 0)
        const read = rest.subarray(0, Math.min(buffer.length, sizes[n % sizes.length] ?? 1))
        buffer.set(read)
        rest = rest.subarray(read.length)
        if (intake !== undefined && buffer.buffer === intake.buffer().buffer) lab.directBytes += read.length
        lab.receiver.filled(read.length)
        if (n % 3 === 0) await Promise.resolve()
      }
    },
  }
  return lab
}

const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 })
const frameSizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 })

test('messages and content are complete, whatever the sizes of frames and reads', async () => {
  await fc.assert(
    fc.asyncProperty(frameSizes, sizes, fc.integer({ min: 1, max: 700 }), async (cuts, reads, window) => {
      const frames = cuts.map((length) => randomBytes(length))
      const content = Buffer.concat(frames)
      const wire = [
        messageFrame({ is: 'content' }),
        ...frames.map(contentFrame),
        messageFrame({ n: 2 }),
        endFrame(),
      ]
      const intake = new MemoryIntake({ window })
      const lab = fedReceiver(intake)
      const feeding = lab.feed(Buffer.concat(wire), reads)
      const wait = { signal, ms: 5000 }
      assert.deepEqual(await lab.receiver.receiveMessage(wait), { is: 'content' })
      await lab.receiver.receiveContent(intake, content.length, { signal })
      assert.ok(intake.bytes.equals(content))
      assert.deepEqual(await lab.receiver.receiveMessage(wait), { n: 2 })
      assert.equal(await lab.receiver.receiveMessage(wait), undefined)
      await feeding
      assert.equal(lab.broken, undefined)
    }),
    { numRuns: 200 },
  )
})

test('content is read straight into the intake, and heads never are', async () => {
  const intake = new MemoryIntake({ window: 4096 })
  const lab = fedReceiver(intake)
  const received = lab.receiver.receiveContent(intake, 30_000, { signal })
  const content = randomBytes(10_000)
  const frame = contentFrame(content)
  await lab.feed(Buffer.concat([frame, frame, frame]), [1_000_000])
  await received
  assert.equal(lab.directBytes, 30_000)
  assert.ok(intake.bytes.equals(Buffer.concat([content, content, content])))
})

test('a full intake gets no bytes until it has drained', async () => {
  const intake = new MemoryIntake({ window: 100, room: 100 })
  const lab = fedReceiver(intake)
  const content = randomBytes(1000)
  const received = lab.receiver.receiveContent(intake, content.length, { signal })
  const feeding = lab.feed(contentFrame(content), [77])
  for (;;) {
    await Promise.race([intake.full(), received])
    if (intake.position === content.length) break
    // A TLS socket hands over what it has decrypted even after a pause, so it still needs a buffer.
    assert.ok(lab.receiver.isBlocked)
    assert.notEqual(lab.receiver.buffer().buffer, intake.buffer().buffer)
    intake.drain()
  }
  await Promise.all([received, feeding])
  assert.ok(intake.bytes.equals(content))
  assert.ok(intake.pauses >= 5)
})

test('bytes that arrive during a pause are stored, up to a limit', async () => {
  const intake = new MemoryIntake({ window: 1000, room: 1000 })
  const lab = fedReceiver(intake)
  const received = lab.receiver.receiveContent(intake, 1_000_000, { signal })
  const content = randomBytes(1_000_000)
  const frame = contentFrame(content)
  for (let at = 0; at < 100_000; at += 50_000) lab.receiver.receiveBytes(frame.subarray(at, at + 50_000))
  assert.equal(intake.position, 1000)
  intake.drain()
  await intake.full()
  assert.ok(intake.bytes.equals(content.subarray(0, 2000)))
  for (let at = 100_000; lab.broken === undefined; at += 50_000) {
    assert.ok(at < 2_000_000, 'held without limit')
    lab.receiver.receiveBytes(Buffer.alloc(50_000))
  }
  await assert.rejects(received, /sent more than was asked for/)
})

test('unreceived messages stop the reading', async () => {
  const lab = fedReceiver()
  let sent = 0
  while (!lab.receiver.isBlocked) {
    assert.ok(sent < 1000)
    lab.receiver.receiveBytes(messageFrame({ n: sent }))
    sent += 1
  }
  for (let n = 0; n < sent; n += 1) {
    assert.deepEqual(await lab.receiver.receiveMessage({ signal, ms: 1000 }), { n })
  }
  assert.equal(lab.receiver.isBlocked, false)
})

test('large unreceived messages stop the reading earlier', async () => {
  const lab = fedReceiver()
  const large = 'x'.repeat(30_000)
  for (let n = 0; n < 3; n += 1) {
    assert.equal(lab.receiver.isBlocked, false)
    lab.receiver.receiveBytes(messageFrame({ n, large }))
  }
  assert.equal(lab.receiver.isBlocked, true)
  for (let n = 0; n < 3; n += 1) {
    assert.deepEqual(await lab.receiver.receiveMessage({ signal, ms: 1000 }), { n, large })
    assert.equal(lab.receiver.isBlocked, false)
  }
})

test('an intake that fails breaks the receiver', async () => {
  const intake = new MemoryIntake({ window: 100, room: 100 })
  const lab = fedReceiver(intake)
  const received = lab.receiver.receiveContent(intake, 1000, { signal })
  void lab.feed(contentFrame(randomBytes(1000)), [100])
  await intake.full()
  const reason = Object.assign(new Error('disk full'), { code: 'disk' })
  intake.fail(reason as never)
  await assert.rejects(received, /disk full/)
  assert.equal(lab.broken, reason)
})
