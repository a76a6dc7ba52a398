import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { summarizeRejections } from '../../../src/observe/log/rejections.ts'

test('the first rejection is reported at once, and the following ones as one summary', async () => {
  const reported: unknown[] = []
  let onReport = (): void => {}
  const unsubscribe = summarizeRejections(
    (counts) => {
      reported.push(counts)
      onReport()
    },
    { intervalMs: 20 },
  )
  try {
    publish('http.rejected', { reason: 'slow' })
    assert.deepEqual(reported, [{ slow: 1 }])
    const second = new Promise<void>((resolve) => {
      onReport = resolve
    })
    for (let i = 0; i < 1000; i += 1) publish('http.rejected', { reason: 'resets' })
    publish('http.rejected', { reason: 'slow' })
    assert.equal(reported.length, 1)
    // The timer of the summary does not keep the process alive by itself.
    const alive = setInterval(() => {}, 1000)
    await second
    clearInterval(alive)
    assert.deepEqual(reported, [{ slow: 1 }, { resets: 1000, slow: 1 }])
  } finally {
    unsubscribe()
  }
})
