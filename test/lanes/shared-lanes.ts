import { LanePool } from '../../src/lanes/lane-pool.ts'
import { SharedMemory } from '../../src/lanes/shared-memory.ts'

const MEMORY_BYTES = 16 * 1024 * 1024
const LANES = 2

/** Lanes that nobody ends: each start of a thread costs more than most tests. Idle ones do not keep the process running. */
class SharedLanes extends LanePool {
  override async stop(): Promise<void> {}
}

let lanes: LanePool | undefined

/** The lanes of all tests of a process. A test that looks at threads or their memory opens lanes of its own. */
export function sharedLanes(): LanePool {
  lanes ??= new SharedLanes(new SharedMemory(MEMORY_BYTES), LANES)
  return lanes
}
