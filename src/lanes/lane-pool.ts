import { availableParallelism } from 'node:os'
import type { Digest } from '../oci/digest.ts'
import { type ConnectionTarget, Lane } from './lane.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { LaneFile, LaneFileListener } from './lane-file.ts'
import { SharedMemory } from './shared-memory.ts'

/** A lane costs 8 MiB (13 MiB in Node 24) while it runs, so an idle one ends after half a minute. */
const IDLE_MS = 30_000

/** The memory for all incoming contents together. */
const MEMORY_BYTES = 16 * 1024 * 1024
/** One lane receives a content while another one writes it: with a single lane that takes a third longer. */
const LEAST_LANES = 2
/** More lanes than this are faster than the links and disks of a node. */
const MOST_LANES = 8

export interface LaneOptions {
  /** How many lanes there may be; default: one for each processor but the first, which the main thread uses, and at least two. */
  readonly lanes?: number | undefined
  readonly memoryBytes?: number
}

export function openLanes({ lanes, memoryBytes = MEMORY_BYTES }: LaneOptions = {}): LanePool {
  const most = lanes ?? Math.min(MOST_LANES, Math.max(LEAST_LANES, availableParallelism() - 1))
  return new LanePool(new SharedMemory(memoryBytes), most)
}

/** The lanes of one agent. A lane starts when it is needed, and ends when it is idle for long. */
export class LanePool {
  readonly memory: SharedMemory
  readonly #limit: number
  readonly #idleMs: number
  readonly #lanes = new Set<Lane>()

  constructor(memory: SharedMemory, limit: number, { idleMs = IDLE_MS } = {}) {
    this.memory = memory
    this.#limit = Math.max(1, limit)
    this.#idleMs = idleMs
  }

  /**
   * Hashes the `from` bytes that `fd` has already, then what is appended. `fd` must be open for reading and writing; without
   * `fd`, everything is only hashed.
   */
  open(fd: number | undefined, wanted: Digest, from: number, listener: LaneFileListener): LaneFile {
    return this.#leastBusy().open(fd, wanted, from, listener)
  }

  /** Connects to a server, whose responses are read in the lane. The signal aborts only the connecting. */
  connect(target: ConnectionTarget, options: { signal: AbortSignal }): Promise<LaneConnection> {
    return this.#leastBusy().connect(target, options)
  }

  /** Starts a lane if there is none: a start takes tens of milliseconds, in which upstream can be asked. */
  prepare(): void {
    if (this.#lanes.size === 0) this.#start()
  }

  /** Ends all lanes. The caller has ended all files before. */
  async stop(): Promise<void> {
    await Promise.all([...this.#lanes].map((lane) => lane.stop()))
  }

  #leastBusy(): Lane {
    const [best] = [...this.#lanes].sort((one, other) => one.load - other.load)
    return best === undefined || (best.load > 0 && this.#lanes.size < this.#limit) ? this.#start() : best
  }

  #start(): Lane {
    const lane = new Lane(this.memory.buffer, this.#idleMs, () => this.#lanes.delete(lane))
    this.#lanes.add(lane)
    return lane
  }
}
