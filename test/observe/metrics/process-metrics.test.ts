import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ProcessMetrics } from '../../../src/observe/metrics/process-metrics.ts'

function lagOf(metrics: ProcessMetrics): readonly string[] {
  return [...metrics.metrics()]
    .filter(({ name }) => name.startsWith('nodejs_eventloop_lag_'))
    .flatMap((metric) => [...metric.samples()])
}

test('a second scraper sees the same lag of the event loop as the first', async () => {
  const metrics = new ProcessMetrics({ periodMs: 200 })
  try {
    while (lagOf(metrics).length === 0) await delay(10)
    // The period may end between two scrapes, but not between each of several pairs of them.
    const pairs = Array.from({ length: 5 }, () => [lagOf(metrics), lagOf(metrics)])
    assert.ok(pairs.some(([one, other]) => JSON.stringify(one) === JSON.stringify(other)))
    assert.equal(lagOf(metrics).length, 3)
  } finally {
    metrics.close()
  }
})

test('a stall of the event loop shows in the period after it', async () => {
  const metrics = new ProcessMetrics({ periodMs: 300 })
  try {
    while (lagOf(metrics).length === 0) await delay(10)
    const stalledUntil = performance.now() + 400
    while (performance.now() < stalledUntil);
    const longest = (): number => Number(lagOf(metrics).at(-1)?.split(' ').at(-1))
    while (longest() < 0.2) await delay(20)
  } finally {
    metrics.close()
  }
})
