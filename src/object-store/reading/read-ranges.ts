import type { Intake } from '../../ports/source.ts'
import { RangeInMemory } from './range-in-memory.ts'
import type { ReadAheadMemory } from './read-ahead-memory.ts'

export interface ReadRangesOptions {
  readonly intake: Intake
  /** The first byte that is missing, and the first one that is not. */
  readonly start: number
  readonly end: number
  /** How many ranges are read at a time at most. */
  readonly parallel: number
  readonly memory: ReadAheadMemory
  /** Reads one range into an intake. */
  readonly read: (range: { start: number; end: number }, into: Intake, signal: AbortSignal) => Promise<void>
  readonly signal: AbortSignal
}

/**
 * Reads the rest of an object by several ranges at a time, in order. Without memory for two ranges it is read by one
 * request, straight into the intake.
 */
export async function readRanges(options: ReadRangesOptions): Promise<void> {
  const { intake, start, end, parallel, memory, read, signal } = options
  const ranges = Math.ceil((end - start) / memory.bytesEach)
  const taken = memory.take(Math.min(parallel, ranges))
  try {
    if (taken.length < 2) await read({ start, end }, intake, signal)
    else await readAhead(taken, options)
  } finally {
    memory.giveBack(taken)
  }
}

async function readAhead(
  memories: readonly Uint8Array[],
  { intake, start, end, memory: { bytesEach }, read, signal }: ReadRangesOptions,
): Promise<void> {
  const stopping = new AbortController()
  const within = AbortSignal.any([signal, stopping.signal])
  const reads = new Set<Promise<void>>()
  const queue: RangeInMemory[] = []
  let next = start
  const begin = (memory: Uint8Array): void => {
    if (next >= end) return
    const range = new RangeInMemory(memory, next, Math.min(next + bytesEach, end))
    next = range.end
    queue.push(range)
    const reading = read(range, range, within)
      .catch((error: unknown) => range.fail(error))
      .finally(() => reads.delete(reading))
    reads.add(reading)
  }
  for (const memory of memories) begin(memory)
  try {
    for (let range = queue.shift(); range !== undefined; range = queue.shift()) {
      await range.moveInto(intake, { signal })
      begin(range.memory)
    }
  } finally {
    stopping.abort()
    // The memory goes back only when no socket writes into it any more.
    await Promise.all(reads)
  }
}
