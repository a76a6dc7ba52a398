import { withTicks } from '../lib/async/with-ticks.ts'
import { publish } from '../observe/events.ts'
import type { Collected, HostedGcLine } from '../schemas/upkeep-report.ts'
import { PROGRESS_INTERVAL_MS } from './progress.ts'

interface CollectOptions {
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

/** Finds what no tag of a hosted repository needs. */
export interface GarbageCollector {
  collect(options: CollectOptions): AsyncIterable<Collected>
}

const NOTHING = { tags: 0, links: 0, blobs: 0, bytes: 0 }

/** For a store without hosted repositories. */
export const NOTHING_HOSTED: GarbageCollector = { collect: async function* () {} }

/** Names what is removed. While nothing is found, the lines say that the work goes on; the last one is `done`. */
export async function* collectHosted(
  garbage: GarbageCollector,
  options: CollectOptions,
): AsyncGenerator<HostedGcLine> {
  const found = { ...NOTHING }
  const progress = (): HostedGcLine => ({ is: 'progress', ...found })
  yield progress()
  for await (const line of withTicks(garbage.collect(options), PROGRESS_INTERVAL_MS, progress)) {
    if (line.is === 'tag') found.tags += 1
    if (line.is === 'unlinked') found.links += 1
    if (line.is === 'freed') {
      found.blobs += 1
      found.bytes += line.size
    }
    yield line
  }
  yield { is: 'done', ...found }
}

/** Collects garbage without being asked to, and publishes what came of it. */
export async function collectAndTell(
  upkeep: { collectHosted(options: CollectOptions): AsyncIterable<HostedGcLine> },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  try {
    for await (const line of upkeep.collectHosted({ isDryRun: false, signal })) {
      if (line.is === 'skipped')
        publish('hosted.collected', { ...NOTHING, error: `${line.repository}: ${line.why}` })
      if (line.is !== 'done') continue
      const { is: _, ...totals } = line
      publish('hosted.collected', { ...totals, error: undefined })
    }
  } catch (error) {
    if (!signal.aborted) publish('hosted.collected', { ...NOTHING, error: String(error) })
  }
}
