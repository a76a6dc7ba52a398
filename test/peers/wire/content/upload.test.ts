import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { RateLimiter } from '../../../../src/lib/async/rate-limiter.ts'
import { SendBuffers } from '../../../../src/peers/wire/connection/send-buffers.ts'
import type { ContentUpload } from '../../../../src/peers/wire/content/content-upload.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { GrowingContent } from '../../../../testkit/memory/growing-content.ts'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'
import { isFailureOf, peerLab } from '../../../../testkit/peer-lab.ts'

const sending = (content: GrowingContent) => (upload: ContentUpload) => upload.send(content)

for (const from of [0, 1, 262_144, 3_000_000, 3_000_001]) {
  test(`a content arrives unchanged from the offset ${from}`, async (t) => {
    const bytes = randomBytes(3_000_001)
    const { download, client } = await peerLab(t, { onContent: sending(new GrowingContent(bytes)) })
    const intake = new MemoryIntake({ window: 1024 * 1024, start: bytes.subarray(0, from) })
    await download(intake)
    assert.ok(intake.bytes.equals(bytes))
    assert.deepEqual(intake.heads, [{ size: bytes.length, mediaType: undefined }])
    assert.equal(client.idleConnections.content, 1)
  })
}

test('an empty content arrives', async (t) => {
  const { download } = await peerLab(t, { onContent: sending(new GrowingContent(Buffer.alloc(0))) })
  const intake = new MemoryIntake()
  await download(intake)
  assert.deepEqual(intake.heads, [{ size: 0, mediaType: undefined }])
})

test('a growing content is sent byte by byte as it becomes readable', async (t) => {
  const bytes = randomBytes(1000)
  const content = new GrowingContent(bytes, 0)
  const { download } = await peerLab(t, { onContent: sending(content) })
  const intake = new MemoryIntake({ room: 1 })
  const received = download(intake)
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

/** A server whose upload the test can look at. */
async function observed(t: Parameters<typeof peerLab>[0], content: GrowingContent, stallMs = 60_000) {
  const sendBuffers = new SendBuffers(4 * 1024 * 1024)
  let upload: ContentUpload | undefined
  let sent: Promise<void> = Promise.resolve()
  const lab = await peerLab(t, {
    serverResources: { stallMs, sendBuffers },
    onContent: (begun) => {
      upload = begun
      sent = begun.send(content)
      return sent
    },
  })
  return { ...lab, sendBuffers, sent: () => sent, upload: () => upload }
}

test('a receiver that aborts a download closes the connection, and the sender stops', async (t) => {
  const lab = await observed(t, new GrowingContent(randomBytes(1000), 600))
  const abort = new AbortController()
  const intake = new MemoryIntake({ room: 600 })
  const received = lab.download(intake, { signal: abort.signal })
  await intake.full()
  abort.abort(new Failure('stalled', 'no progress'))
  await assert.rejects(received, /no progress/)
  await assert.rejects(lab.sent(), isFailureOf('unavailable', /./, 'asker'))
  assert.ok(lab.upload()?.closed.aborted)
  assert.equal(lab.client.idleConnections.content, 0)
})

test('a sender that gives up closes the connection', async (t) => {
  const lab = await observed(t, new GrowingContent(randomBytes(1000), 600))
  const intake = new MemoryIntake({ room: 600 })
  const received = lab.download(intake)
  await intake.full()
  intake.drain()
  lab.upload()?.destroy()
  await assert.rejects(received, isFailureOf('unavailable', /./))
})

test('a receiver that stops reading is disconnected, and its send buffers are freed', async (t) => {
  const lab = await observed(t, new GrowingContent(Buffer.alloc(64 * 1024 * 1024)), 100)
  const intake = new MemoryIntake({ window: 1024 * 1024, room: 1 })
  const received = lab.download(intake)
  received.catch(() => {})
  await intake.full()
  await assert.rejects(lab.sent(), isFailureOf('stalled', /does not read the content/, 'asker'))
  // Unsent buffers are released when the socket has been closed.
  while (lab.sendBuffers.lentCount > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('all transfers together stay below the rate limits, in both directions', async (t) => {
  const rate = 4_000_000
  const bytes = randomBytes(600_000)
  for (const direction of ['upload', 'download'] as const) {
    const limited = { [`${direction}Limiter`]: new RateLimiter(rate) }
    const { download } = await peerLab(t, {
      ...(direction === 'upload' ? { serverResources: limited } : { clientResources: limited }),
      onContent: sending(new GrowingContent(bytes)),
    })
    const begin = performance.now()
    const took = await Promise.all(
      [1, 2, 3].map(async () => {
        const intake = new MemoryIntake()
        await download(intake)
        assert.ok(intake.bytes.equals(bytes))
        return performance.now() - begin
      }),
    )
    const least = (1000 * (3 * bytes.length - 0.2 * rate)) / rate
    assert.ok(Math.max(...took) >= least, `${direction}: ${took.map(Math.round)} ms, at least ${least}`)
  }
})

test('a download within the limit goes on after its intake was full', async (t) => {
  const bytes = randomBytes(300_000)
  const { download } = await peerLab(t, {
    clientResources: { downloadLimiter: new RateLimiter(2_000_000) },
    onContent: sending(new GrowingContent(bytes)),
  })
  const intake = new MemoryIntake({ window: 5000, room: 20_000 })
  const received = download(intake)
  const drained = setInterval(() => intake.drain(), 1)
  await received.finally(() => clearInterval(drained))
  assert.ok(intake.bytes.equals(bytes))
  assert.ok(intake.pauses > 5)
})

test('an intake that fails ends the download with its failure', async (t) => {
  const { download } = await peerLab(t, { onContent: sending(new GrowingContent(randomBytes(100_000))) })
  const intake = new MemoryIntake({ window: 100, room: 100 })
  const received = download(intake)
  await intake.full()
  intake.fail(new Failure('disk', 'the disk is full'))
  await assert.rejects(received, { code: 'disk', message: 'the disk is full' })
})

test('a peer server sends many contents at the same time', async (t) => {
  const bytes = randomBytes(1_000_000)
  const sendBuffers = new SendBuffers(1024 * 1024)
  const { download, client } = await peerLab(t, {
    serverResources: { sendBuffers },
    onContent: sending(new GrowingContent(bytes)),
  })
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const intake = new MemoryIntake()
      await download(intake)
      assert.ok(intake.bytes.equals(bytes))
    }),
  )
  const idle = client.idleConnections.content
  assert.ok(idle > 0 && idle <= 16, `${idle} connections are kept`)
  // The sender may not know yet that the last bytes have arrived.
  while (sendBuffers.lentCount > 0) await new Promise((resolve) => setImmediate(resolve))
})
