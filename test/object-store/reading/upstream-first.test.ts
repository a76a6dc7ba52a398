import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whenAborted } from '../../../src/lib/async/abort.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { upstreamFirst } from '../../../src/object-store/reading/upstream-first.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { NEVER } from '../bucket-fixture.ts'

/** Upstream is slow at once; nothing else comes to its limit in a test. */
const LIMITS = { upstreamAloneMs: 1, bucketMs: 600_000, lateMs: 600_000 }
const DOWN = new Failure('unavailable', 'down')

function silent(signal: AbortSignal): Promise<never> {
  return whenAborted(signal).then(() => Promise.reject(signal.reason))
}

test('upstream answers while the bucket hangs', async () => {
  const upstream = new Deferred<string>()
  const answer = await upstreamFirst({
    askUpstream: () => upstream.promise,
    askBucket: (signal) => {
      upstream.resolve('upstream')
      return silent(signal)
    },
    limits: LIMITS,
    ...NEVER,
  })
  assert.equal(answer, 'upstream')
})

test('a refusal of upstream counts while the bucket is asked', async () => {
  const upstream = new Deferred<string>()
  const answer = upstreamFirst({
    askUpstream: () => upstream.promise,
    askBucket: (signal) => {
      upstream.reject(new Failure('absent', 'gone'))
      return silent(signal)
    },
    limits: LIMITS,
    ...NEVER,
  })
  await assert.rejects(answer, { code: 'absent' })
})

test('a bucket that hangs is given up after its limit, even if it does not listen', async () => {
  const answer = upstreamFirst({
    askUpstream: () => Promise.reject(DOWN),
    askBucket: () => new Promise<string>(() => {}),
    limits: { ...LIMITS, bucketMs: 1 },
    ...NEVER,
  })
  await assert.rejects(answer, DOWN)
})

test('the bucket answers when upstream fails meanwhile', async () => {
  const upstream = new Deferred<string>()
  const answer = await upstreamFirst({
    askUpstream: () => upstream.promise,
    askBucket: async () => {
      upstream.reject(DOWN)
      return 'bucket'
    },
    limits: LIMITS,
    ...NEVER,
  })
  assert.equal(answer, 'bucket')
})

test('what upstream says after the bucket is told, and its request is not given up', async () => {
  for (const [settle, expected] of [
    [(upstream: Deferred<string>) => upstream.resolve('upstream'), 'upstream'],
    [(upstream: Deferred<string>) => upstream.reject(new Failure('absent', 'gone')), undefined],
  ] as const) {
    const upstream = new Deferred<string>()
    const late = new Deferred<string | undefined>()
    const signals: AbortSignal[] = []
    const answer = await upstreamFirst({
      askUpstream: (signal) => {
        signals.push(signal)
        return upstream.promise
      },
      askBucket: async () => 'bucket',
      onLate: late.resolve,
      limits: LIMITS,
      ...NEVER,
    })
    assert.equal(answer, 'bucket')
    assert.equal(signals[0]?.aborted, false)
    settle(upstream)
    assert.equal(await late.promise, expected)
  }
})

test('upstream is given up when its late answer is of no use, or does not come', async () => {
  for (const more of [{}, { onLate: () => {}, limits: { ...LIMITS, lateMs: 1 } }]) {
    const ended = new Deferred<void>()
    const answer = await upstreamFirst({
      askUpstream: (signal) => silent(signal).finally(() => ended.resolve()),
      askBucket: async () => 'bucket',
      limits: LIMITS,
      ...NEVER,
      ...more,
    })
    assert.equal(answer, 'bucket')
    // The timer of a late answer does not keep the process running.
    const running = setInterval(() => {}, 1000)
    await ended.promise.finally(() => clearInterval(running))
  }
})
