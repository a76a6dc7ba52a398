import type { LanePool } from '../../lanes/lane-pool.ts'
import type { SharedMemory } from '../../lanes/shared-memory.ts'
import type { BlobFiles } from '../files/blob-files.ts'
import type { Partials } from '../files/partials.ts'
import type { Quarantine } from '../files/quarantine.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import type { DiskBudget } from '../space/disk-budget.ts'

/** The parts of the store that all incoming contents share. */
export interface StoreParts {
  readonly memory: SharedMemory
  readonly budget: DiskBudget
  readonly lanes: LanePool
  readonly partials: Partials
  readonly blobFiles: BlobFiles
  readonly quarantine: Quarantine
  readonly index: BlobIndex
}
