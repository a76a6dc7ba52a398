import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { TAIL_BYTES } from '../../../../src/fetch/flight/bytes/tail-gate.ts'
import type { Flights } from '../../../../src/fetch/flight/flights.ts'
import { followFlight } from '../../../../src/fetch/flight/follow.ts'
import { openLanes } from '../../../../src/lanes/lane-pool.ts'
import type { ByteRange } from '../../../../src/oci/range.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'
import type { Content } from '../../../../src/ports/content.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import type { Want } from '../../../../src/ports/source.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { type RangedRequest, RangedSource } from '../../../../testkit/registries/ranged-source.ts'
import { folder, opened } from '../../../store/folder.ts'
import {
  flightEnd,
  never,
  openContent,
  pull,
  readFrom,
  readWhole,
  setUpFlights,
  twoTurns,
  wantOf,
  wrongFrom,
} from '../../support/flights.ts'

const MIB = 1024 * 1024
const UNIT = AHEAD_UNIT_BYTES
const BLOB = randomBytes(20 * MIB + 12_345)
const FAR: ByteRange = { start: 15 * MIB + 7, end: 15 * MIB + 300_000 }
/** Nothing but parts comes as long as the test runs. */
const PARTS_ONLY = { lazyRanges: 'gated', partsQuietMs: 600_000 } as const
/** The rest comes as soon as no part is missing. */
const REST_AT_ONCE = { lazyRanges: 'gated', partsQuietMs: 0 } as const
const ON = { lazyRanges: 'gated' } as const

async function openParts(flights: Flights, want: Want, ...ranges: ByteRange[]): Promise<Content> {
  const content = await followFlight(flights.join(want).flight, { signal: never, isForParts: true })
  content.willRead?.(ranges)
  return content
}

async function readPart(content: Content, { start, end }: ByteRange): Promise<void> {
  assert.deepEqual(await readFrom(content, start, end), BLOB.subarray(start, end))
}

test('a part of a content that nobody has asked for comes at once, after 64 KiB that tell the size', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  await readPart(content, FAR)
  assert.deepEqual(source.requests, [
    { kind: 'in order', start: 0, end: UNIT },
    { kind: 'range', start: 15 * MIB, end: 15 * MIB + 5 * UNIT },
  ])
  await content.close()
})

test('several ranges come by requests of their own, and what two readers want is asked for once', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const other: ByteRange = { start: 10 * MIB, end: 10 * MIB + UNIT }
  const contents = await Promise.all([
    openParts(flights, wantOf(BLOB), FAR, other),
    openParts(flights, wantOf(BLOB), other, FAR),
  ])
  for (const content of contents) {
    await readPart(content, FAR)
    await readPart(content, other)
    await content.close()
  }
  const ranges = source.requests.filter(({ kind }) => kind === 'range')
  assert.deepEqual(ranges.map(({ start }) => start).sort(), [10 * MIB, 15 * MIB])
})

test('the rest comes in order after the parts, each byte once, and the content is stored', async () => {
  const source = new RangedSource(BLOB)
  const { flights, store } = setUpFlights([source], { policy: REST_AT_ONCE })
  const want = wantOf(BLOB)
  const ended = flightEnd(want.digest)
  const content = await openParts(flights, want, FAR)
  await readPart(content, FAR)
  await content.close()
  assert.equal((await ended).isStored, true)
  assert.deepEqual(Buffer.from(store.stored.get(want.digest)?.bytes ?? []), BLOB)
  assert.equal(source.sentBytes, BLOB.length)
})

test('a part of a content that is coming in order ends the request for all, and each byte comes once', async () => {
  const source = new RangedSource(BLOB, { stallAt: 2 * MIB })
  const { flights, store } = setUpFlights([source], { policy: ON })
  const want = wantOf(BLOB)
  const whole = openContent(flights, want).then((content) => readWhole(content))
  const content = await openParts(flights, want, FAR)
  await readPart(content, FAR)
  assert.deepEqual(await whole, BLOB)
  await content.close()
  assert.deepEqual(source.requests[0], { kind: 'in order', start: 0, end: undefined })
  assert.ok(source.requests.some(({ kind }) => kind === 'range'))
  assert.equal(source.sentBytes, BLOB.length)
  assert.ok(store.stored.has(want.digest))
})

test('ranges after a request that ended in the middle of a unit consist of whole units', async () => {
  const source = new RangedSource(BLOB, { stallAt: 2 * MIB + 777 })
  const { flights, store } = setUpFlights([source], { policy: ON })
  const want = wantOf(BLOB)
  const whole = openContent(flights, want).then((content) => readWhole(content))
  const near: ByteRange = { start: 2 * MIB, end: 3 * MIB }
  const content = await openParts(flights, want, FAR, near)
  await readPart(content, FAR)
  await readPart(content, near)
  assert.deepEqual(await whole, BLOB)
  await content.close()
  for (const { kind, start, end = 0 } of source.requests) {
    if (kind === 'range') assert.deepEqual([start % UNIT, end % UNIT], [0, 0])
    else assert.ok(end % UNIT === 0 || end === BLOB.length, `a segment ends at ${end}`)
  }
  assert.ok(store.stored.has(want.digest))
})

test('a request in order that ends without room in memory does not spoil the bytes after it', async (t) => {
  const path = await folder(t)
  const { blobs } = await opened(t, { path, lanes: openLanes({ memoryBytes: 4 * UNIT }) })
  const source = new RangedSource(BLOB, { endsWithoutRoom: true })
  const { flights } = setUpFlights([source], { blobs, policy: REST_AT_ONCE })
  const want = wantOf(BLOB)
  const ended = flightEnd(want.digest)
  const parts = [5, 10, 14, 19, 23].map((unit) => ({ start: unit * UNIT, end: (unit + 1) * UNIT }))
  const content = await openParts(flights, want, ...parts, FAR)
  await readPart(content, FAR)
  await content.close()
  const { isStored, error } = await ended
  assert.deepEqual([isStored, error], [true, undefined])
})

test('a part that is about to come in order is waited for', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: ON })
  const want = wantOf(BLOB)
  const whole = openContent(flights, want)
  const content = await openParts(flights, want, { start: MIB, end: 2 * MIB })
  await readPart(content, { start: MIB, end: 2 * MIB })
  await content.close()
  assert.deepEqual(await readWhole(await whole), BLOB)
  assert.deepEqual(source.requests, [{ kind: 'in order', start: 0, end: undefined }])
})

test('while all of the content is read, too, the transfer in order goes on', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const want = wantOf(BLOB)
  const content = await openParts(flights, want, FAR)
  await readPart(content, FAR)
  assert.deepEqual(await pull(flights, want), BLOB)
  await content.close()
  assert.equal(source.sentBytes, BLOB.length)
})

test('without parts a source is asked for all at once', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: ON })
  assert.deepEqual(await pull(flights, wantOf(BLOB)), BLOB)
  assert.deepEqual(source.requests, [{ kind: 'in order', start: 0, end: undefined }])
})

test('the last 64 KiB leave only when all is verified', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const want = wantOf(BLOB)
  const tail: ByteRange = { start: BLOB.length - MIB, end: BLOB.length }
  const { flight } = flights.join(want)
  const content = await followFlight(flight, { signal: never, isForParts: true })
  content.willRead?.([tail])
  let verifiedBy: number | undefined
  const ended = flightEnd(want.digest).then(() => {
    verifiedBy = performance.now()
  })
  await readPart(content, { start: tail.start, end: BLOB.length - TAIL_BYTES })
  const early = content.readable(BLOB.length - TAIL_BYTES, { signal: never })
  assert.notEqual(typeof early, 'number', 'the tail was released early')
  await readPart(content, tail)
  await ended
  assert.ok(verifiedBy !== undefined)
  await content.close()
})

test('who trusts upstream gets the last 64 KiB at once', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: { ...PARTS_ONLY, lazyRanges: 'trusted' } })
  const tail: ByteRange = { start: BLOB.length - 4 * UNIT, end: BLOB.length }
  const content = await openParts(flights, wantOf(BLOB), tail)
  await readPart(content, tail)
  assert.ok(source.sentBytes < MIB)
  await content.close()
})

test('who trusts upstream gets no whole content before it is verified', async () => {
  const source = new RangedSource(BLOB, { stallAt: 16 * MIB })
  const { flights } = setUpFlights([source], { policy: { ...PARTS_ONLY, lazyRanges: 'trusted' } })
  const whole: ByteRange = { start: 0, end: BLOB.length }
  const content = await openParts(flights, wantOf(BLOB), whole)
  await readPart(content, { start: 0, end: MIB })
  const tail = content.readable(BLOB.length - 1, { signal: never })
  assert.ok(tail instanceof Promise)
  assert.ok(source.requests.every(({ kind }) => kind === 'in order'))
  await Promise.all([content.close(), assert.rejects(tail, { code: 'stopping' })])
})

test('unless lazy ranges are switched on a part waits for its turn', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: {} })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  await readPart(content, FAR)
  assert.deepEqual(source.requests, [{ kind: 'in order', start: 0, end: undefined }])
  await content.close()
})

test('a source that does not bring ranges brings all in order', async () => {
  const rangeFailure = new Failure('unsupported', 'no ranges')
  const source = new RangedSource(BLOB, { rangeFailure })
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  await readPart(content, FAR)
  assert.equal(source.sentBytes, BLOB.length)
  await content.close()
})

test('a source whose range breaks off three times brings all in order', async () => {
  const source = new RangedSource(BLOB, { rangeFailure: new Failure('unavailable', 'broken') })
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  await readPart(content, FAR)
  assert.equal(source.requests.filter(({ kind }) => kind === 'range').length, 3)
  await content.close()
})

test('a reader of parts of wrong bytes is cut off, and the next source brings all anew', async () => {
  const wrong = new RangedSource(wrongFrom(BLOB, 14 * MIB), { name: 'wrong' })
  const right = new RangedSource(BLOB)
  const { flights, store } = setUpFlights([wrong, right], { policy: REST_AT_ONCE })
  const want = wantOf(BLOB)
  const ended = flightEnd(want.digest)
  const content = await openParts(flights, want, FAR)
  const readable = await content.readable(FAR.start, { signal: never })
  assert.ok(readable > FAR.start)
  assert.equal((await ended).isStored, true)
  await assert.rejects(content.read(Buffer.alloc(10), FAR.start), { code: 'corrupt' })
  await content.close()
  assert.deepEqual(Buffer.from(store.stored.get(want.digest)?.bytes ?? []), BLOB)
  assert.equal(right.sentBytes, BLOB.length)
})

test('a reader goes on with bytes of the next host when those that it could read were discarded', async () => {
  const first = new RangedSource(BLOB, { name: 'first', breaksOff: true })
  const second = new RangedSource(BLOB, { name: 'second' })
  const { flights } = setUpFlights([first, second], { policy: REST_AT_ONCE })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  assert.ok((await content.readable(FAR.start, { signal: never })) > FAR.start)
  while (second.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const target = Buffer.alloc(1000)
  const count = await content.read(target, FAR.start)
  assert.deepEqual(target.subarray(0, count), BLOB.subarray(FAR.start, FAR.start + count))
  await readPart(content, FAR)
  await content.close()
  assert.ok(first.requests.some(({ kind, start }) => kind === 'range' && start === 15 * MIB))
  assert.ok(second.requests.some(({ kind, start }) => kind === 'range' && start === 15 * MIB))
})

test('a reader that waits for discarded bytes can be closed', async () => {
  const first = new RangedSource(BLOB, { name: 'first', breaksOff: true })
  const second = new RangedSource(BLOB, { name: 'second', rangeFailure: new Failure('unsupported', 'no') })
  const { flights, store } = setUpFlights([first, second], { policy: REST_AT_ONCE })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  assert.ok((await content.readable(FAR.start, { signal: never })) > FAR.start)
  store.pauseWrites()
  while (second.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const read = content.read(Buffer.alloc(1000), FAR.start)
  await Promise.all([content.close(), assert.rejects(read, { code: 'stopping' })])
  store.resumeWrites()
})

test('a part that is there already does not hold the rest up', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: { lazyRanges: 'gated', partsQuietMs: 50 } })
  const want = wantOf(BLOB)
  let isOver = false
  const ended = flightEnd(want.digest).then(() => {
    isOver = true
  })
  const content = await openParts(flights, want, FAR)
  await readPart(content, FAR)
  while (!isOver) {
    content.willRead?.([FAR])
    await new Promise((resolve) => setImmediate(resolve))
  }
  await ended
  await content.close()
})

test('segments grow while no part is wanted, and a part ends a large one', async () => {
  const source = new RangedSource(BLOB, { stallAt: 4 * MIB + 777 })
  const { flights, store } = setUpFlights([source], { policy: REST_AT_ONCE })
  const want = wantOf(BLOB)
  const ended = flightEnd(want.digest)
  const near: ByteRange = { start: 2 * UNIT, end: 3 * UNIT }
  const content = await openParts(flights, want, near)
  await readPart(content, near)
  const isLarge = ({ kind, start, end = 0 }: RangedRequest): boolean =>
    kind === 'in order' && end - start > 8 * MIB
  while (!source.requests.some(isLarge)) await new Promise((resolve) => setImmediate(resolve))
  content.willRead?.([FAR])
  await readPart(content, FAR)
  await content.close()
  assert.equal((await ended).isStored, true)
  assert.deepEqual(Buffer.from(store.stored.get(want.digest)?.bytes ?? []), BLOB)
})

test('a content that cannot be stored comes in order', async () => {
  const source = new RangedSource(BLOB)
  const store = new MemoryStore({ limitBytes: MIB })
  const { flights } = setUpFlights([source], { store, policy: ON })
  const content = await openParts(flights, wantOf(BLOB), { start: MIB, end: 2 * MIB })
  await readPart(content, { start: MIB, end: 2 * MIB })
  await content.close()
  await twoTurns()
})

test('a flight that is stopped ends its requests for parts', async () => {
  const source = new RangedSource(BLOB)
  const { flights } = setUpFlights([source], { policy: PARTS_ONLY })
  const content = await openParts(flights, wantOf(BLOB), FAR)
  await readPart(content, FAR)
  const more = content.readable(18 * MIB, { signal: never })
  await Promise.all([flights.stop(), assert.rejects(Promise.resolve(more), { code: 'stopping' })])
  await content.close()
})
