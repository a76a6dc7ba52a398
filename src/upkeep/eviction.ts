import { withTicks } from '../lib/async/with-ticks.ts'
import type { GcLine } from '../schemas/upkeep-report.ts'
import { PROGRESS_INTERVAL_MS } from './progress.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** Evicts the least recently used content until `toBytes` are left, or the low-water mark is reached. */
export async function* evict(
  store: UpkeepStore,
  { toBytes, signal }: { toBytes: number | undefined; signal: AbortSignal },
): AsyncGenerator<GcLine> {
  const before = store.usage()
  const progress = (): GcLine => {
    const now = store.usage()
    // A pull may have stored more than was evicted meanwhile.
    const [blobs, bytes] = [before.blobs - now.blobs, before.bytes - now.bytes]
    return { is: 'progress', blobs: Math.max(0, blobs), bytes: Math.max(0, bytes) }
  }
  yield progress()
  const evicting = store.gc({ signal, ...(toBytes === undefined ? {} : { toBytes }) })
  for await (const item of withTicks(asyncIterableOf(evicting), PROGRESS_INTERVAL_MS, progress)) {
    if ('is' in item) {
      yield item
      continue
    }
    const { blobs: leftBlobs, bytes: leftBytes } = store.usage()
    yield { is: 'done', ...item, leftBlobs, leftBytes }
  }
}

async function* asyncIterableOf<Value>(promise: Promise<Value>): AsyncGenerator<Value> {
  yield await promise
}
