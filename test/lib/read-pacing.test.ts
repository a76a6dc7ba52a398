import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadPacing } from '../../src/lib/read-pacing.ts'

const KIB = 1024

/** A connection whose other side sends at a rate. What comes while it is not read waits in the kernel, which holds so much. */
class PacedConnection {
  readonly waits: number[] = []
  readonly reads: number[] = []
  readonly #pacing: ReadPacing
  readonly #kernelBytes: number
  #ms = 0
  #isPaused = false

  constructor({ kernelBytes = Number.POSITIVE_INFINITY }: { kernelBytes?: number } = {}) {
    this.#kernelBytes = kernelBytes
    this.#pacing = new ReadPacing({ pause: () => this.#pause(), resume: () => {} }, () => this.#ms)
    this.#pacing.begin()
  }

  get longestWait(): number {
    return Math.max(0, ...this.waits)
  }

  /** Receives for `ms`, in reads of what has come since the last one. Gives how many bytes were read. */
  async receive(bytesPerMs: number, ms: number): Promise<number> {
    let received = 0
    for (const end = this.#ms + ms; this.#ms < end; ) {
      const waited = this.#isPaused ? this.#pacing.waitMs : 1
      if (this.#isPaused) this.waits.push(waited)
      this.#isPaused = false
      this.#pacing.stop()
      this.#ms += waited
      const bytes = Math.min(bytesPerMs * waited, this.#kernelBytes)
      received += bytes
      this.reads.push(bytes)
      this.#pacing.onRead(bytes)
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#pacing.stop()
    return received
  }

  #pause(): void {
    this.#isPaused = true
  }
}

test('a slow connection is read in large pieces, and never less often than each 40 ms', async () => {
  const at12MBs = new PacedConnection()
  await at12MBs.receive(12_000, 2000)
  assert.ok((at12MBs.reads.at(-1) ?? 0) > 200 * KIB, `${at12MBs.reads.at(-1)} bytes at a time`)
  const at1MBs = new PacedConnection()
  await at1MBs.receive(1000, 2000)
  assert.equal(at1MBs.longestWait, 40)
  assert.ok((at1MBs.reads.at(-1) ?? 0) >= 40_000)
})

test('the first bytes are read as they come', async () => {
  const connection = new PacedConnection()
  await connection.receive(1000, 15)
  assert.deepEqual(connection.waits, [])
})

test('a fast connection never waits', async () => {
  const connection = new PacedConnection()
  await connection.receive(100_000, 1000)
  assert.deepEqual(connection.waits, [])
})

test('a connection that becomes fast no longer waits', async () => {
  const connection = new PacedConnection()
  await connection.receive(1000, 2000)
  assert.ok(connection.longestWait > 0)
  await connection.receive(1_000_000, 500)
  connection.waits.length = 0
  await connection.receive(1_000_000, 500)
  assert.deepEqual(connection.waits, [])
})

test('where the kernel holds little of a connection, waits do not make it slower', async () => {
  const kernelBytes = 64 * KIB
  const connection = new PacedConnection({ kernelBytes })
  await connection.receive(6000, 2000)
  const received = await connection.receive(6000, 4000)
  assert.ok(received > 0.85 * 6000 * 4000, `${received} of ${6000 * 4000} bytes`)
})

test('nothing is paused or resumed after the end', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const calls: string[] = []
  let ms = 0
  const pacing = new ReadPacing(
    { pause: () => calls.push('pause'), resume: () => calls.push('resume') },
    () => ms,
  )
  const read = async (): Promise<void> => {
    ms += 10
    pacing.onRead(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  while (calls.length === 0) await read()
  t.mock.timers.tick(4)
  assert.deepEqual(calls, ['pause', 'resume'])
  await read()
  assert.deepEqual(calls, ['pause', 'resume', 'pause'])
  pacing.stop()
  t.mock.timers.tick(100)
  pacing.onRead(1000)
  pacing.stop()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(calls, ['pause', 'resume', 'pause'])
})
