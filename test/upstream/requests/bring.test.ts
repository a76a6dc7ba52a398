import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { Fault } from '../../../testkit/registries/faulty/faults.ts'
import { open } from '../opened.ts'

const BYTES = randomBytes(500_000)
const MEBI = 1024 * 1024
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

test('a blob is brought completely, with its size and type first', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  const intake = new MemoryIntake()
  await bring(digest, intake)
  assert.equal(sha256(intake.bytes), digest)
  assert.deepEqual(intake.heads, [{ size: BYTES.length, mediaType: 'application/octet-stream' }])
  const [request] = server.requests
  assert.equal(request?.headers['accept-encoding'], 'identity')
  assert.equal(request?.headers.range, undefined)
  assert.equal(request?.headers['user-agent'], 'leat')
})

test('an attempt after a broken one continues at its offset with If-Range', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { dieAt: 123_456, times: 1 })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  assert.equal(intake.position, 123_456)
  await bring(digest, intake)
  assert.equal(sha256(intake.bytes), digest)
  assert.equal(server.requests[1]?.headers.range, 'bytes=123456-')
  assert.equal(server.requests[1]?.headers['if-range'], `"${digest}"`)
  assert.equal(server.bytesSent(digest), BYTES.length)
  assert.deepEqual(
    intake.heads.map(({ size }) => size),
    [BYTES.length, BYTES.length],
  )
})

test('an attempt continues content that another source began', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  const intake = new MemoryIntake({ start: BYTES.subarray(0, 400_000) })
  await bring(digest, intake)
  assert.equal(sha256(intake.bytes), digest)
  assert.equal(server.requests[0]?.headers['if-range'], undefined)
  assert.equal(server.bytesSent(digest), 100_000)
})

test('when the ETag has changed, the content is read from its start and skipped to the offset', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { dieAt: 100_000, headers: { etag: '"old"' }, times: 1 })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake))
  await bring(digest, intake)
  assert.equal(server.requests[1]?.headers['if-range'], '"old"')
  assert.equal(sha256(intake.bytes), digest)
})

test('a weak ETag is not sent back', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { dieAt: 100_000, headers: { etag: 'W/"weak"' }, times: 1 })
  const intake = new MemoryIntake()
  await assert.rejects(bring(digest, intake))
  await bring(digest, intake)
  assert.equal(server.requests[1]?.headers['if-range'], undefined)
})

for (const fault of [{ ignoreRange: true }, { ignoreRange: true, chunked: true }]) {
  test(`a server that answers a range with the whole content is skipped to the offset (${JSON.stringify(fault)})`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addBlob(BYTES)
    server.fault(digest, fault)
    const intake = new MemoryIntake({ start: BYTES.subarray(0, 200_001) })
    await bring(digest, intake)
    assert.equal(sha256(intake.bytes), digest)
  })
}

test('a whole content that is shorter than the offset is refused before its first byte', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { ignoreRange: true })
  const intake = new MemoryIntake({ start: randomBytes(BYTES.length + 1) })
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  assert.equal(intake.position, BYTES.length + 1)
})

const INVALID_RANGES: readonly [string, Fault, number][] = [
  ['another start', { startLie: 1000 }, 200_000],
  ['a length that its range contradicts', { lengthLie: -1000 }, 200_000],
  ['an invalid range', { headers: { 'content-range': 'bytes everything' } }, 200_000],
  ['no Content-Range', { headers: { 'content-range': '' } }, 200_000],
  ['a range past its end', { headers: { 'content-range': 'bytes 200000-499999/400000' } }, 200_000],
]

for (const [what, fault, start] of INVALID_RANGES) {
  test(`a partial answer with ${what} is refused before its first byte`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addBlob(BYTES)
    server.fault(digest, fault)
    const intake = new MemoryIntake({ start: BYTES.subarray(0, start) })
    await assert.rejects(bring(digest, intake), { code: 'unavailable' })
    assert.equal(intake.position, start)
    assert.deepEqual(intake.heads, [])
  })
}

test('a part of the requested range is a failure, and the next attempt continues', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  const headers = { 'content-range': `bytes 200000-299999/${BYTES.length}` }
  server.fault(digest, { lengthLie: -200_000, headers, times: 1 })
  const intake = new MemoryIntake({ start: BYTES.subarray(0, 200_000) })
  await assert.rejects(bring(digest, intake), { code: 'unavailable' })
  assert.equal(intake.position, 300_000)
  await bring(digest, intake)
  assert.equal(sha256(intake.bytes), digest)
})

test('an offset at the end of the content is a failure', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  await assert.rejects(bring(digest, new MemoryIntake({ start: BYTES })), { code: 'unavailable' })
})

test('corrupt bytes are brought unchanged, because the flight verifies them', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { corruptAt: 77 })
  const intake = new MemoryIntake()
  await bring(digest, intake)
  assert.notEqual(sha256(intake.bytes), digest)
  assert.equal(intake.position, BYTES.length)
})

test('a size that contradicts the intake ends the attempt', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  const intake = new MemoryIntake()
  intake.expect({ size: 5, mediaType: undefined })
  await assert.rejects(bring(digest, intake), /size has changed/)
  assert.equal(intake.position, 0)
})

test('an empty blob is brought', async (t) => {
  const { server, bring } = await open(t)
  const intake = new MemoryIntake()
  await bring(server.addBlob(new Uint8Array(0)), intake)
  assert.deepEqual([intake.position, intake.heads[0]?.size], [0, 0])
})

const CODES: readonly [Fault, string, number | undefined][] = [
  [{ status: 404 }, 'absent', undefined],
  [{ status: 410 }, 'absent', undefined],
  [{ status: 403 }, 'denied', undefined],
  [{ status: 429, headers: { 'retry-after': '30' } }, 'busy', 30_000],
  [{ status: 429 }, 'busy', undefined],
  [{ status: 408 }, 'unavailable', undefined],
  [{ status: 416 }, 'unavailable', undefined],
  [{ status: 500 }, 'unavailable', undefined],
  [{ status: 503, headers: { 'retry-after': '2' } }, 'unavailable', 2000],
  [{ status: 204 }, 'unavailable', undefined],
  [{ status: 400 }, 'unavailable', undefined],
]

for (const [fault, code, retryAfterMs] of CODES) {
  test(`a response with ${JSON.stringify(fault)} is the failure ${code}, after one request`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addBlob(BYTES)
    server.fault(digest, fault)
    await assert.rejects(bring(digest, new MemoryIntake()), (error) => {
      assert.ok(error instanceof Failure)
      assert.equal(error.code, code)
      assert.equal(error.details.retryAfterMs, retryAfterMs)
      assert.equal(error.details.source, server.host)
      return true
    })
    assert.equal(server.count(digest), 1)
  })
}

test('Retry-After may be a date', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addBlob(BYTES)
  const date = new Date(Date.now() + 60_000).toUTCString()
  server.fault(digest, { status: 429, headers: { 'retry-after': date } })
  await assert.rejects(bring(digest, new MemoryIntake()), (error) => {
    const wait = error instanceof Failure ? (error.details.retryAfterMs ?? 0) : 0
    return wait > 30_000 && wait <= 60_000
  })
})

test('a manifest is requested with all media types and brought unchanged', async (t) => {
  const { server, bring } = await open(t)
  const digest = server.addManifest(
    'team/app',
    undefined,
    '{"schemaVersion": 2}',
    `${OCI_MANIFEST}; charset=utf-8`,
  )
  const intake = new MemoryIntake()
  await bring(digest, intake, 'manifest')
  assert.equal(sha256(intake.bytes), digest)
  assert.equal(intake.heads[0]?.mediaType, OCI_MANIFEST)
  const accept = server.requests[0]?.headers.accept ?? ''
  for (const type of ['oci.image.index.v1', 'oci.image.manifest.v1', 'manifest.list.v2', 'manifest.v2']) {
    assert.ok(accept.includes(type), type)
  }
  assert.ok(accept.endsWith('*/*'))
})

test('a manifest of more than 4 MiB is refused, with or without a declared length', async (t) => {
  const { server, bring } = await open(t)
  const large = server.addManifest('team/app', undefined, Buffer.alloc(4 * MEBI + 1))
  const declared = new MemoryIntake()
  await assert.rejects(bring(large, declared, 'manifest'), { code: 'too-large' })
  assert.equal(declared.position, 0)
  server.fault(large, { chunked: true })
  const undeclared = new MemoryIntake()
  await assert.rejects(bring(large, undeclared, 'manifest'), { code: 'too-large' })
  assert.ok(undeclared.position <= 4 * MEBI)
  const fitting = server.addManifest('team/app', undefined, Buffer.alloc(4 * MEBI))
  await bring(fitting, new MemoryIntake(), 'manifest')
})

for (const type of ['v1+json', 'v1+prettyjws']) {
  test(`a schema 1 manifest (${type}) is unsupported`, async (t) => {
    const { server, bring } = await open(t)
    const digest = server.addManifest(
      'team/app',
      undefined,
      '{}',
      `application/vnd.docker.distribution.manifest.${type}`,
    )
    await assert.rejects(bring(digest, new MemoryIntake(), 'manifest'), { code: 'unsupported' })
  })
}

test('an abort ends the attempt with the reason of the signal', async (t) => {
  const { server, bring, abort } = await open(t)
  const digest = server.addBlob(BYTES)
  server.fault(digest, { stallAt: 100 })
  const reason = new Error('the flight is stalled')
  const outcome = assert.rejects(bring(digest, new MemoryIntake()), (error) => error === reason)
  await server.stalled(digest)
  abort(reason)
  await outcome
})
