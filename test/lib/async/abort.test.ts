import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { onAbort, pause, unlessAborted, whenAborted } from '../../../src/lib/async/abort.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'

const REASON = new Error('left')

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

describe('onAbort', () => {
  it('runs once, when the signal is aborted', () => {
    const leaving = new AbortController()
    let runs = 0
    onAbort(leaving.signal, () => {
      runs += 1
    })
    assert.equal(runs, 0)
    leaving.abort(REASON)
    leaving.abort(REASON)
    assert.equal(runs, 1)
  })

  it('runs at once when the signal is aborted already', () => {
    let runs = 0
    const stop = onAbort(AbortSignal.abort(REASON), () => {
      runs += 1
    })
    assert.equal(runs, 1)
    stop()
  })

  it('runs no more when the listening has ended, and ends only its own', () => {
    const leaving = new AbortController()
    let runs = 0
    const run = (): void => {
      runs += 1
    }
    const stop = onAbort(leaving.signal, run)
    onAbort(leaving.signal, run)
    stop()
    assert.equal(listeners(leaving.signal), 1)
    leaving.abort(REASON)
    assert.equal(runs, 1)
  })
})

describe('whenAborted', () => {
  it('resolves when the signal is aborted, and not before', async () => {
    const leaving = new AbortController()
    let isOver = false
    const over = whenAborted(leaving.signal).then(() => {
      isOver = true
    })
    await new Promise(setImmediate)
    assert.equal(isOver, false)
    leaving.abort(REASON)
    await over
    assert.ok(isOver)
  })

  it('resolves at once when the signal is aborted already', async () => {
    await whenAborted(AbortSignal.abort(REASON))
  })
})

describe('unlessAborted', () => {
  it('comes to what the promise comes to, and then listens no more', async () => {
    const { signal } = new AbortController()
    assert.equal(await unlessAborted(Promise.resolve(1), signal), 1)
    await assert.rejects(unlessAborted(Promise.reject(new Error('broken')), signal), /broken/)
    assert.equal(listeners(signal), 0)
  })

  it('rejects with the reason as soon as the signal is aborted', async () => {
    const leaving = new AbortController()
    const waiting = unlessAborted(new Promise(() => {}), leaving.signal)
    leaving.abort(REASON)
    await assert.rejects(waiting, (error) => error === REASON)
  })

  it('rejects with the reason when the signal was aborted before, also for a promise that is settled', async () => {
    const signal = AbortSignal.abort(REASON)
    await assert.rejects(unlessAborted(Promise.resolve(1), signal), (error) => error === REASON)
  })

  it('leaves no rejection to nobody when the promise fails after the signal', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      for (const signal of [AbortSignal.abort(REASON), abortedSoon()]) {
        const late = new Deferred<void>()
        await assert.rejects(unlessAborted(late.promise, signal), (error) => error === REASON)
        late.reject(new Error('late'))
      }
      // What nobody handles is told after the microtasks.
      await new Promise(setImmediate)
    } finally {
      process.off('unhandledRejection', note)
    }
    assert.deepEqual(unhandled, [])
  })
})

describe('pause', () => {
  it('waits, and then listens no more', async () => {
    const { signal } = new AbortController()
    const startedAt = performance.now()
    await pause(20, { signal })
    // Timers of Node may be early by a part of a millisecond.
    assert.ok(performance.now() - startedAt >= 19)
    assert.equal(listeners(signal), 0)
  })

  it('rejects with the reason when the signal is aborted, before or meanwhile', async () => {
    const isReason = (error: unknown): boolean => error === REASON
    await assert.rejects(pause(60_000, { signal: AbortSignal.abort(REASON) }), isReason)
    await assert.rejects(pause(60_000, { signal: abortedSoon() }), isReason)
  })

  it('keeps the process running only when it is to', () => {
    const { signal } = new AbortController()
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const leaving = new AbortController()
    void pause(60_000, { signal, ref: false })
    assert.equal(timers(), before)
    pause(60_000, { signal: leaving.signal }).catch(() => {})
    assert.equal(timers(), before + 1)
    leaving.abort()
    assert.equal(timers(), before)
  })
})

function abortedSoon(): AbortSignal {
  const leaving = new AbortController()
  setImmediate(() => leaving.abort(REASON))
  return leaving.signal
}
