import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { AheadIntake } from '../../../../src/fetch/flight/ahead/ahead-intake.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { MemoryAhead } from '../../../../testkit/memory/memory-ahead.ts'
import { pour } from '../../../../testkit/registries/scripted-source.ts'

const UNIT = AHEAD_UNIT_BYTES
const BYTES = randomBytes(50 * UNIT + 7)
const silent = { onAnswer: (): void => {}, onBytes: (): void => {} }

async function readBack(ahead: MemoryAhead, start: number, end: number): Promise<Buffer> {
  const target = Buffer.alloc(end - start)
  for (let at = start; at < end; at += await ahead.read(target.subarray(at - start), at))
    assert.ok(ahead.endFrom(at) > at)
  return target
}

for (const [start, end] of [
  [0, UNIT],
  [3 * UNIT, 11 * UNIT],
  [UNIT, 27 * UNIT],
  [2 * UNIT, BYTES.length],
] as const) {
  test(`the bytes from ${start} to ${end} arrive where they belong`, async () => {
    const ahead = new MemoryAhead()
    const intake = new AheadIntake(ahead, { start, end }, silent)
    await pour(intake, BYTES, end)
    await intake.settled()
    assert.equal(intake.position, end)
    assert.deepEqual(await readBack(ahead, start, end), BYTES.subarray(start, end))
  })
}

test('the memory after the current one is what the current one becomes, so that a thread can fill both', async () => {
  const ahead = new MemoryAhead()
  const intake = new AheadIntake(ahead, { start: 0, end: 20 * UNIT }, silent)
  const next = intake.nextBuffer()
  const first = intake.buffer()
  assert.ok(next !== undefined && first.buffer instanceof SharedArrayBuffer)
  first.set(BYTES.subarray(0, first.length))
  assert.equal(intake.filled(first.length), true)
  assert.equal(intake.buffer().buffer, next.buffer)
  assert.equal(intake.nextBuffer(), undefined, 'the first one is being written')
  await intake.settled()
  assert.ok(intake.nextBuffer() !== undefined)
})

test('while both are being written the source waits', async () => {
  const writes: (() => void)[] = []
  const ahead = new MemoryAhead()
  const write = ahead.write.bind(ahead)
  ahead.write = async (bytes, position) => {
    await new Promise<void>((resolve) => writes.push(resolve))
    await write(bytes, position)
  }
  const intake = new AheadIntake(ahead, { start: 0, end: 40 * UNIT }, silent)
  assert.equal(intake.filled(intake.buffer().length), true)
  assert.equal(intake.filled(intake.buffer().length), false)
  let hasRoom = false
  const drained = intake.drained().then(() => {
    hasRoom = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(hasRoom, false)
  writes[0]?.()
  await drained
  assert.ok(intake.buffer().length > 0)
  writes[1]?.()
  await intake.settled()
})

test('a disk that takes nothing ends the range', async () => {
  const ahead = new MemoryAhead()
  ahead.write = () => Promise.reject(new Failure('disk', 'full'))
  const intake = new AheadIntake(ahead, { start: 0, end: 40 * UNIT }, silent)
  await assert.rejects(pour(intake, BYTES, 40 * UNIT), { code: 'disk' })
  await assert.rejects(intake.settled(), { code: 'disk' })
})

test('what has come of a range that breaks off is written in whole units', async () => {
  const ahead = new MemoryAhead()
  const intake = new AheadIntake(ahead, { start: UNIT, end: 20 * UNIT }, silent)
  await pour(intake, BYTES, 7 * UNIT + 100)
  intake.writeWholeUnits()
  await intake.settled()
  assert.equal(ahead.endFrom(UNIT), 7 * UNIT)
  assert.deepEqual(await readBack(ahead, UNIT, 7 * UNIT), BYTES.subarray(UNIT, 7 * UNIT))
})
