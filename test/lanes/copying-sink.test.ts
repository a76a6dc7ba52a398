import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asSharedSink } from '../../src/lanes/copying-sink.ts'
import type { BodySink } from '../../src/lib/http1/body-transfer.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'

/** A sink of private memory, which lends 7 bytes at a time. */
class PrivateSink implements BodySink {
  readonly taken: number[] = []
  readonly #memory = new Uint8Array(7)

  buffer(): Uint8Array {
    return this.#memory
  }

  filled(length: number): boolean {
    this.taken.push(...this.#memory.subarray(0, length))
    return this.taken.length < 100_000
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }
}

test('bytes for private memory are copied from shared memory, also when that is used again', () => {
  const sink = new PrivateSink()
  const shared = asSharedSink(sink)
  const expected: number[] = []
  for (let turn = 0; expected.length < 200_000; turn += 1) {
    const memory = shared.buffer()
    assert.ok(memory.buffer instanceof SharedArrayBuffer && memory.length > 0)
    const length = Math.min(memory.length, 30_001)
    memory.fill(turn, 0, length)
    for (let at = 0; at < length; at += 1) expected.push(turn)
    assert.equal(shared.filled(length), expected.length < 100_000)
  }
  assert.deepEqual(sink.taken, expected)
})

test('a sink of shared memory is used as it is', () => {
  const intake = new MemoryIntake()
  assert.equal(asSharedSink(intake), intake)
})
