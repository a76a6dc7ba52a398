import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { type Opened, open } from '../opened.ts'

const BYTES = randomBytes(500_000)
const START = 100_000
const END = 300_000

function bringRange(
  { source, want, signal }: Opened,
  digest: Parameters<Opened['want']>[0],
  intake: MemoryIntake,
) {
  return source(digest).bringRange?.(want(digest), { end: END, size: BYTES.length }, intake, { signal })
}

function intakeAtStart(): MemoryIntake {
  return new MemoryIntake({ start: BYTES.subarray(0, START) })
}

test('exactly the range is asked for, and comes', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  const intake = intakeAtStart()
  await bringRange(opened, digest, intake)
  assert.deepEqual(Buffer.from(intake.bytes), BYTES.subarray(0, END))
  assert.equal(opened.server.requests[0]?.headers.range, `bytes=${START}-${END - 1}`)
  assert.equal(opened.server.bytesSent(digest), END - START)
})

test('a range of a content whose start came from the host is asked for with If-Range', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  await opened.bring(digest, new MemoryIntake())
  await bringRange(opened, digest, intakeAtStart())
  assert.equal(opened.server.requests[1]?.headers['if-range'], `"${digest}"`)
})

test('a host that answers with the whole content is said not to bring ranges', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  opened.server.fault(digest, { ignoreRange: true })
  const intake = intakeAtStart()
  await assert.rejects(bringRange(opened, digest, intake) ?? Promise.resolve(), { code: 'unsupported' })
  assert.equal(intake.position, START)
})

test('a range of a content of another size is refused', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  const { source, want, signal } = opened
  const range = { end: END, size: BYTES.length + 1 }
  const bringing = source(digest).bringRange?.(want(digest), range, intakeAtStart(), { signal })
  await assert.rejects(bringing ?? Promise.resolve(), { code: 'unsupported' })
})

test('a range that breaks off may be asked for again', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  opened.server.fault(digest, { dieAt: 50_000, times: 1 })
  await assert.rejects(bringRange(opened, digest, intakeAtStart()) ?? Promise.resolve(), {
    code: 'unavailable',
  })
  await bringRange(opened, digest, intakeAtStart())
})

test('a content that the host does not have has no range', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  opened.server.fault(digest, { status: 404 })
  await assert.rejects(bringRange(opened, digest, intakeAtStart()) ?? Promise.resolve(), { code: 'absent' })
})

test('an attempt in order can stop before the end', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  const intake = Object.assign(new MemoryIntake(), { end: START })
  await opened.bring(digest, intake)
  assert.equal(intake.position, START)
  assert.deepEqual(intake.heads, [{ size: BYTES.length, mediaType: 'application/octet-stream' }])
  assert.equal(opened.server.requests[0]?.headers.range, `bytes=0-${START - 1}`)
})

test('a range of another version of the content is refused', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  await opened.bring(digest, new MemoryIntake())
  opened.server.fault(digest, { headers: { etag: '"another"' } })
  await assert.rejects(bringRange(opened, digest, intakeAtStart()) ?? Promise.resolve(), {
    code: 'unsupported',
  })
})

test('a range beyond the end, as the host sees it, is refused', async (t) => {
  const opened = await open(t)
  const digest = opened.server.addBlob(BYTES)
  opened.server.fault(digest, { status: 416 })
  await assert.rejects(bringRange(opened, digest, intakeAtStart()) ?? Promise.resolve(), {
    code: 'unsupported',
  })
})

test('ranges are asked of the storage to which the registry has redirected, until that refuses the URL', async (t) => {
  const opened = await open(t)
  const storage = await startFaultyUpstream()
  t.after(() => storage.close())
  const digest = opened.server.addBlob(BYTES)
  storage.addBlob(BYTES)
  opened.server.fault(digest, { redirect: { to: `${storage.url}/v2/x/blobs/${digest}` } })
  for (let nth = 0; nth < 3; nth++) await bringRange(opened, digest, intakeAtStart())
  assert.deepEqual([opened.server.count(digest), storage.count(digest)], [1, 3])
  storage.fault(digest, { status: 403, times: 1 })
  await bringRange(opened, digest, intakeAtStart())
  assert.deepEqual([opened.server.count(digest), storage.count(digest)], [2, 5])
})
