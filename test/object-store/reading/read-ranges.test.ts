import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ReadAheadMemory } from '../../../src/object-store/reading/read-ahead-memory.ts'
import { readRanges } from '../../../src/object-store/reading/read-ranges.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { Intake } from '../../../src/ports/source.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'

const SIGNAL = new AbortController().signal
const BYTES = randomBytes(100_000)

function fill(into: Intake, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const room = into.buffer()
    const count = Math.min(room.length, bytes.length - at)
    room.set(bytes.subarray(at, at + count))
    into.filled(count)
    at += count
  }
}

test('ranges that arrive in any order reach the intake in their own', async () => {
  const memory = new ReadAheadMemory({ bytesEach: 10_000, most: 4 })
  const intake = new MemoryIntake({ window: 3000 })
  const waiting: (() => void)[] = []
  const begun: number[] = []
  await readRanges({
    intake,
    start: 0,
    end: BYTES.length,
    parallel: 4,
    memory,
    read: async ({ start, end }, into) => {
      begun.push(start)
      // The last of each four that have begun is answered first.
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        if (waiting.length === 4 || end === BYTES.length)
          for (const answer of waiting.splice(0).reverse()) answer()
        else if (start >= 70_000) resolve()
      })
      fill(into, BYTES.subarray(start, end))
    },
    signal: SIGNAL,
  })
  assert.deepEqual(intake.bytes, BYTES)
  assert.equal(begun.length, 10)
  assert.equal(memory.take(9).length, 4)
})

test('without memory for two ranges all is read by one request, straight into the intake', async () => {
  const memory = new ReadAheadMemory({ bytesEach: 10_000, most: 4 })
  memory.take(3)
  const intake = new MemoryIntake()
  const ranges: unknown[] = []
  await readRanges({
    intake,
    start: 5,
    end: BYTES.length,
    parallel: 4,
    memory,
    read: async (range, into) => {
      ranges.push(range)
      fill(into, BYTES.subarray(range.start, range.end))
    },
    signal: SIGNAL,
  })
  assert.deepEqual(ranges, [{ start: 5, end: BYTES.length }])
  assert.deepEqual(intake.bytes, BYTES.subarray(5))
})

test('what came before a range that fails stays, and all other reads end', async () => {
  const memory = new ReadAheadMemory({ bytesEach: 10_000, most: 4 })
  const intake = new MemoryIntake()
  let stopped = 0
  const reading = readRanges({
    intake,
    start: 0,
    end: BYTES.length,
    parallel: 4,
    memory,
    read: async ({ start, end }, into, signal) => {
      if (start === 0) return fill(into, BYTES.subarray(start, end))
      if (start === 10_000) throw new Failure('unavailable', 'broken off')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      stopped += 1
      throw signal.reason
    },
    signal: SIGNAL,
  })
  await assert.rejects(reading, { message: 'broken off' })
  assert.deepEqual(intake.bytes, BYTES.subarray(0, 10_000))
  assert.equal(stopped, 3)
  assert.equal(memory.take(9).length, 4)
})
