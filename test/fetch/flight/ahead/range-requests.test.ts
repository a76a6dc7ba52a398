import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { AheadRoom } from '../../../../src/fetch/flight/ahead/ahead-room.ts'
import type { AheadWindow } from '../../../../src/fetch/flight/ahead/ahead-window.ts'
import { RangeRequests } from '../../../../src/fetch/flight/ahead/range-requests.ts'
import { RequestSlots } from '../../../../src/fetch/flight/ahead/request-slots.ts'
import { WantedRanges } from '../../../../src/fetch/flight/ahead/wanted-ranges.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import type { Intake, Source } from '../../../../src/ports/source.ts'
import { MemoryAhead } from '../../../../testkit/memory/memory-ahead.ts'
import { aborted, pour } from '../../../../testkit/registries/scripted-source.ts'
import { wantOf } from '../../support/flights.ts'

const MIB = 1024 * 1024
const BLOB = randomBytes(64 * MIB)

interface Asked {
  readonly start: number
  readonly end: number
  readonly finish: () => void
  readonly fail: (failure: Failure) => void
}

/** Sends one byte in each turn of the event loop. */
async function drip(intake: Intake, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    intake.filled(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Requests to a source that answers each range when the test says so. */
function setUp({
  progressTimeoutMs = 60_000,
  isDripping = false,
  roomBytes = 1024 * MIB,
  window,
}: {
  progressTimeoutMs?: number
  isDripping?: boolean
  roomBytes?: number
  window?: AheadWindow
} = {}) {
  const asked: Asked[] = []
  const source: Source = {
    name: 'registry',
    kind: 'upstream',
    bring: () => Promise.reject(new Error('not wanted')),
    bringRange: async (_, { end }, intake: Intake, { signal }) => {
      const start = intake.position
      intake.expect({ size: BLOB.length, mediaType: undefined })
      if (isDripping) return drip(intake, signal)
      await Promise.race([
        new Promise<void>((finish, fail) => asked.push({ start, end, finish, fail })),
        aborted(signal),
      ])
      await pour(intake, BLOB, end)
    },
  }
  const wanted = new WantedRanges()
  const ahead = new MemoryAhead()
  const tooMany: Failure[] = []
  const requests = new RangeRequests({
    want: wantOf(BLOB),
    source,
    ahead,
    wanted,
    window: () => window,
    inOrderTo: (position) => Math.max(position, 2 * MIB),
    slots: new RequestSlots(40),
    room: new AheadRoom(roomBytes),
    progressTimeoutMs,
    onBytes: () => void requests.start(BLOB.length),
    onChange: () => void requests.start(BLOB.length),
    onTooMany: (failure) => tooMany.push(failure),
  })
  return { asked, wanted, ahead, requests, tooMany }
}

test('a part is brought by eight requests, and at most 16 are under way', async () => {
  const { asked, wanted, ahead, requests } = setUp()
  wanted.add(
    {},
    [8, 16, 24].map((start) => ({ start: start * MIB, end: (start + 4) * MIB })),
    BLOB.length,
  )
  assert.equal(requests.start(BLOB.length), true)
  assert.deepEqual(
    asked.map(({ start }) => start / MIB),
    [8, 16].flatMap((start) => [0, 1, 2, 3, 4, 5, 6, 7].map((nth) => start + nth / 2)),
  )
  assert.equal(requests.endFrom(8 * MIB + 5), 8.5 * MIB)
  asked[0]?.finish()
  while (asked.length < 17) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ahead.endFrom(8 * MIB), 8.5 * MIB)
  assert.equal(asked[16]?.start, 24 * MIB)
  await requests.stop()
})

for (const [what, bytes, expected] of [
  ['small', MIB, [MIB / 2, MIB / 2]],
  ['large', 40 * MIB, Array.from({ length: 10 }, () => 4 * MIB)],
] as const) {
  test(`a ${what} part is brought by requests of 512 KiB to 4 MiB`, async () => {
    const { asked, wanted, requests } = setUp()
    wanted.add({}, [{ start: 8 * MIB, end: 8 * MIB + bytes }], BLOB.length)
    requests.start(BLOB.length)
    assert.deepEqual(
      asked.map(({ start, end }) => end - start),
      expected,
    )
    await requests.stop()
  })
}

test('what comes in order is not asked for', async () => {
  const { asked, wanted, requests } = setUp()
  wanted.add({}, [{ start: MIB, end: 2.5 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  assert.deepEqual(
    asked.map(({ start, end }) => [start / MIB, end / MIB]),
    [[2, 2.5]],
  )
  await requests.stop()
})

test('without room nothing is asked for', async () => {
  const { asked, wanted, ahead, requests } = setUp()
  ahead.freeBytes = MIB
  wanted.add({}, [{ start: 8 * MIB, end: 12 * MIB }], BLOB.length)
  assert.equal(requests.start(BLOB.length), false)
  assert.equal(asked.length, 0)
  await requests.stop()
})

test('a request that is stopped writes nothing more', async () => {
  const { asked, wanted, ahead, requests } = setUp()
  wanted.add({}, [{ start: 8 * MIB, end: 8.5 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  await requests.stop()
  assert.equal(requests.arePartsUnderWay, false)
  asked[0]?.finish()
  assert.equal(ahead.endFrom(8 * MIB), 8 * MIB)
  wanted.add({}, [{ start: 10 * MIB, end: 11 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  assert.equal(asked.length, 1)
})

test('a source that sends nothing three times is asked for no range any more', async () => {
  const { asked, wanted, requests } = setUp({ progressTimeoutMs: 1 })
  wanted.add({}, [{ start: 8 * MIB, end: 8.5 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  while (!requests.haveFailed) await new Promise((resolve) => setTimeout(resolve, 1))
  assert.equal(asked.length, 3)
  assert.equal(requests.start(BLOB.length), false)
  await requests.stop()
})

test('a range that comes makes up for those that failed before it', async () => {
  const { asked, wanted, ahead, requests } = setUp()
  for (let round = 0; round < 3; round++) {
    const start = (8 + round) * MIB
    wanted.add({}, [{ start, end: start + MIB / 2 }], BLOB.length)
    requests.start(BLOB.length)
    asked.at(-1)?.fail(new Failure('unavailable', 'the connection broke'))
    const count = asked.length
    while (asked.length === count) await new Promise((resolve) => setImmediate(resolve))
    asked.at(-1)?.finish()
    while (ahead.endFrom(start) === start) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(requests.haveFailed, false)
  await requests.stop()
})

test('when the source does not bring ranges all requests end', async () => {
  const { asked, wanted, requests } = setUp()
  wanted.add({}, [{ start: 8 * MIB, end: 48 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  asked[0]?.fail(new Failure('unsupported', 'no ranges'))
  while (requests.arePartsUnderWay) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(asked.length, 10)
  await requests.stop()
})

test('a source that sends a byte now and then is asked for no range any more', async () => {
  const { wanted, requests } = setUp({ progressTimeoutMs: 5, isDripping: true })
  wanted.add({}, [{ start: 8 * MIB, end: 12 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  while (!requests.haveFailed) await new Promise((resolve) => setImmediate(resolve))
  await requests.stop()
})

test('where the flights together have no room for bytes ahead nothing is asked for', async () => {
  const { asked, wanted, requests } = setUp({ roomBytes: 10 * MIB })
  wanted.add({}, [{ start: 8 * MIB, end: 20 * MIB }], BLOB.length)
  assert.equal(requests.start(BLOB.length), false)
  assert.equal(asked.length, 1)
  await requests.stop()
})

test('the pieces of the window are asked for, after what readers want, and only so many at a time', async () => {
  const window: AheadWindow = { start: 3 * MIB, end: 32 * MIB, mostRequests: 2 }
  const { asked, wanted, requests } = setUp({ window })
  wanted.add({}, [{ start: 40 * MIB, end: 40.5 * MIB }], BLOB.length)
  requests.start(BLOB.length)
  assert.deepEqual(
    asked.map(({ start, end }) => [start / MIB, end / MIB]),
    [
      [40, 40.5],
      [3, 8],
      [8, 16],
    ],
  )
  asked[2]?.finish()
  while (asked.length < 4) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([asked[3]?.start, asked[3]?.end], [16 * MIB, 24 * MIB])
  await requests.stop()
})

for (const failure of [
  new Failure('busy', 'limited', { status: 429 }),
  new Failure('unavailable', 'overloaded', { status: 503 }),
]) {
  test(`a source that answers ${failure.details.status} is said to be asked too much`, async () => {
    const window: AheadWindow = { start: 3 * MIB, end: 16 * MIB, mostRequests: 1 }
    const { asked, requests, tooMany } = setUp({ window })
    requests.start(BLOB.length)
    asked[0]?.fail(failure)
    while (tooMany.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(tooMany, [failure])
    assert.equal(requests.haveFailed, false)
    await requests.stop()
  })
}
