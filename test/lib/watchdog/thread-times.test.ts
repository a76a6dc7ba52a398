import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownTime, readThreadTimes, type ThreadTimes } from '../../../src/lib/watchdog/thread-times.ts'

const before: ThreadTimes = { ranMs: 500, waitedMs: 100, isRunnable: true }

for (const [what, ranMs, waitedMs, isRunnable, own] of [
  ['that loops has had all of it', 1000, 0, true, 1000],
  ['that waits in a call has had all of it', 0, 0, false, 1000],
  ['that loops beside others has had the time in which it ran', 300, 690, true, 300],
  ['that waits for a processor all the time has had nothing, although no wait is over', 0, 0, true, 0],
  ['whose long wait has just ended has had nothing', 2, 9000, false, 0],
  ['that called after a wait has had the rest', 10, 400, false, 600],
  ['of which the kernel counts more than there was has had all of it', 1004, 0, true, 1000],
] as const) {
  test(`a thread ${what}`, () => {
    const after = { ranMs: before.ranMs + ranMs, waitedMs: before.waitedMs + waitedMs, isRunnable }
    assert.equal(ownTime(1000, before, after), own)
  })
}

test('where the kernel says nothing of a thread, its time is not known', () => {
  assert.equal(readThreadTimes(0), undefined)
  assert.equal(ownTime(1000, undefined, before), undefined)
  assert.equal(ownTime(1000, before, undefined), undefined)
})

test('the kernel says how long this thread has run', {
  skip: process.platform !== 'linux' && 'Linux only',
}, () => {
  const first = readThreadTimes(process.pid)
  assert.ok(first?.isRunnable)
  let last = first
  while (last.ranMs - first.ranMs < 20) last = readThreadTimes(process.pid) ?? assert.fail('no times')
  assert.ok(last.waitedMs >= first.waitedMs)
})
