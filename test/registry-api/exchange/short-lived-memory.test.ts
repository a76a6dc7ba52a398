import assert from 'node:assert/strict'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { noteShortLivedMemory } from '../../../src/registry-api/exchange/short-lived-memory.ts'

const MIB = 1024 * 1024

/** How many collections of young objects there are while `work` runs. */
async function collections(work: () => void): Promise<number> {
  let count = 0
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      // The types of Node know only older names of this.
      const detail: { kind: number } = Reflect.get(entry, 'detail')
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) count += 1
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  try {
    work()
    for (let turns = 0; turns < 20; turns++) await turn()
    return count
  } finally {
    observer.disconnect()
  }
}

test('the young objects are collected once for every 4 MiB of bodies', async () => {
  const count = await collections(() => {
    for (let at = 0; at < 16 * 100; at++) noteShortLivedMemory(MIB / 4)
  })
  // The observer may miss one at its beginning or its end.
  assert.ok(count >= 95, `${count} collections for 400 MiB`)
})

test('the function that collects is given to no other code', () => {
  assert.equal(Reflect.get(globalThis, 'gc'), undefined)
})
