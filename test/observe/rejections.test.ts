import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../src/observe/events.ts'
import { summarizeRejections } from '../../src/observe/rejections.ts'

test('the first rejection is told of at once, and those after it together', async () => {
  const told: unknown[] = []
  let onTold = (): void => {}
  const end = summarizeRejections(
    (counts) => {
      told.push(counts)
      onTold()
    },
    { everyMs: 20 },
  )
  try {
    publish('http.rejected', { reason: 'slow' })
    assert.deepEqual(told, [{ slow: 1 }])
    const second = new Promise<void>((resolve) => {
      onTold = resolve
    })
    for (let i = 0; i < 1000; i += 1) publish('http.rejected', { reason: 'resets' })
    publish('http.rejected', { reason: 'slow' })
    assert.equal(told.length, 1)
    // The timer of the summary does not keep the process alive by itself.
    const alive = setInterval(() => {}, 1000)
    await second
    clearInterval(alive)
    assert.deepEqual(told, [{ slow: 1 }, { resets: 1000, slow: 1 }])
  } finally {
    end()
  }
})
