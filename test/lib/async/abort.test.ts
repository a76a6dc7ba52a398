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
    const controller = new AbortController()
    let runs = 0
    onAbort(controller.signal, () => {
      runs += 1
    })
    assert.equal(runs, 0)
    controller.abort(REASON)
    controller.abort(REASON)
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

  it('does not run after the listening has ended, which ends no other listener', () => {
    const controller = new AbortController()
    let runs = 0
    const run = (): void => {
      runs += 1
    }
    const stop = onAbort(controller.signal, run)
    onAbort(controller.signal, run)
    stop()
    assert.equal(listeners(controller.signal), 1)
    controller.abort(REASON)
    assert.equal(runs, 1)
  })
})

describe('whenAborted', () => {
  it('resolves when the signal is aborted, and not before', async () => {
    const controller = new AbortController()
    let isOver = false
    const over = whenAborted(controller.signal).then(() => {
      isOver = true
    })
    await new Promise(setImmediate)
    assert.equal(isOver, false)
    controller.abort(REASON)
    await over
    assert.ok(isOver)
  })

  it('resolves at once when the signal is aborted already', async () => {
    await whenAborted(AbortSignal.abort(REASON))
  })
})

describe('unlessAborted', () => {
  it('settles as the promise does, and then stops listening', async () => {
    const { signal } = new AbortController()
    assert.equal(await unlessAborted(Promise.resolve(1), signal), 1)
    await assert.rejects(unlessAborted(Promise.reject(new Error('broken')), signal), /broken/)
    assert.equal(listeners(signal), 0)
  })

  it('rejects with the reason as soon as the signal is aborted', async () => {
    const controller = new AbortController()
    const waiting = unlessAborted(new Promise(() => {}), controller.signal)
    controller.abort(REASON)
    await assert.rejects(waiting, (error) => error === REASON)
  })

  it('rejects with the reason when the signal was aborted before, also for a promise that is settled', async () => {
    const signal = AbortSignal.abort(REASON)
    await assert.rejects(unlessAborted(Promise.resolve(1), signal), (error) => error === REASON)
  })

  it('handles the rejection of a promise that fails after the signal', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      for (const signal of [AbortSignal.abort(REASON), abortedSoon()]) {
        const late = new Deferred<void>()
        await assert.rejects(unlessAborted(late.promise, signal), (error) => error === REASON)
        late.reject(new Error('late'))
      }
      // An unhandled rejection is reported after the microtasks.
      await new Promise(setImmediate)
    } finally {
      process.off('unhandledRejection', note)
    }
    assert.deepEqual(unhandled, [])
  })
})

describe('pause', () => {
  it('waits, and then stops listening', async () => {
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

  it('keeps the process running unless ref is false', () => {
    const { signal } = new AbortController()
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const controller = new AbortController()
    void pause(60_000, { signal, ref: false })
    assert.equal(timers(), before)
    pause(60_000, { signal: controller.signal }).catch(() => {})
    assert.equal(timers(), before + 1)
    controller.abort()
    assert.equal(timers(), before)
  })
})

function abortedSoon(): AbortSignal {
  const controller = new AbortController()
  setImmediate(() => controller.abort(REASON))
  return controller.signal
}
