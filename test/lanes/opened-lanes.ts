import type { TestContext } from 'node:test'
import { type LaneOptions, type LanePool, openLanes } from '../../src/lanes/lane-pool.ts'

/** Lanes that end after the test. */
export function openedLanes(t: Pick<TestContext, 'after'>, options: LaneOptions = {}): LanePool {
  const lanes = openLanes(options)
  t.after(() => lanes.stop())
  return lanes
}
