import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LentBody, type SharedSink } from '../../src/lanes/lent-body.ts'
import { fc } from '../../testkit/property-runs.ts'

/** A sink of pieces of these sizes, which is full now and then. */
class PieceSink implements SharedSink {
  readonly taken: number[] = []
  readonly #sizes: readonly number[]
  readonly #hasNext: boolean
  #pieces: Uint8Array[]
  #isFull = false
  #drain: (() => void) | undefined

  constructor(sizes: readonly number[], hasNext: boolean) {
    this.#sizes = sizes
    this.#hasNext = hasNext
    this.#pieces = [this.#newPiece(0), this.#newPiece(1)]
  }

  buffer(): Uint8Array {
    return this.#pieces[0] ?? assert.fail('there is no piece')
  }

  nextBuffer(): Uint8Array | undefined {
    return this.#hasNext ? this.#pieces[1] : undefined
  }

  filled(length: number): boolean {
    assert.ok(!this.#isFull, 'the sink gets nothing while it is full')
    const memory = this.buffer()
    assert.ok(length >= 1 && length <= memory.length)
    this.taken.push(...memory.subarray(0, length))
    if (length < memory.length) this.#pieces[0] = memory.subarray(length)
    else this.#pieces = [...this.#pieces.slice(1), this.#newPiece(this.taken.length)]
    this.#isFull = this.taken.length % 3 === 0
    return !this.#isFull
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drain = resolve
    })
  }

  drain(): void {
    this.#isFull = false
    this.#drain?.()
    this.#drain = undefined
  }

  #newPiece(number: number): Uint8Array {
    return new Uint8Array(new SharedArrayBuffer(this.#sizes[number % this.#sizes.length] ?? 1))
  }
}

test('a sink gets all bytes in order, whatever is lent and reported when, and nothing while it is full', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })
  const steps = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(
      sizes,
      steps,
      fc.boolean(),
      fc.integer({ min: 1, max: 150 }),
      async (pieces, reports, hasNext, length) => {
        const sink = new PieceSink(pieces, hasNext)
        const lent: Uint8Array[] = []
        let isTaken = false
        const body = new LentBody(sink, length, {
          lend: (more) => lent.push(...more),
          onTaken: () => {
            isTaken = true
          },
          onError: (error) => assert.fail(String(error)),
        })
        lent.push(...body.pieces())
        let filled = 0
        for (let turn = 0; filled < length || !isTaken; turn += 1) {
          let most = reports[turn % reports.length] ?? 1
          let count = 0
          for (let [memory] = lent; memory !== undefined && most > 0; [memory] = lent) {
            const part = Math.min(most, memory.length)
            for (let at = 0; at < part; at += 1) memory[at] = (filled + count + at) % 256
            count += part
            most -= part
            lent.shift()
            if (part < memory.length) lent.unshift(memory.subarray(part))
          }
          filled += count
          if (count > 0) body.filled(count)
          sink.drain()
          await Promise.resolve()
        }
        assert.equal(lent.length, 0, 'no more was lent than the body needs')
        assert.deepEqual(
          sink.taken,
          Array.from({ length }, (_, at) => at % 256),
        )
      },
    ),
  )
})

test('a sink gets nothing after the end', () => {
  const sink = new PieceSink([10], true)
  const body = new LentBody(sink, 10, { lend: () => {}, onTaken: () => {}, onError: () => {} })
  body.pieces()
  body.end()
  body.filled(5)
  assert.deepEqual(sink.taken, [])
})
