import { withTicks } from '../lib/async/with-ticks.ts'
import { SharedParts } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import { repositoryKey } from '../oci/names/repository.ts'
import type { VerifyLine } from '../schemas/upkeep-report.ts'
import { PROGRESS_INTERVAL_MS } from './progress.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** A finding lists at most this many images or repositories that a rotten blob was part of. */
const MAX_PART_OF = 10

/** Hashes all stored content again, and reports each blob that does not match its digest. */
export async function* verify(
  store: UpkeepStore,
  options: { bytesPerSecond: number | undefined; signal: AbortSignal },
): AsyncGenerator<VerifyLine> {
  const { blobs: ofBlobs, bytes: ofBytes } = store.usage()
  let [blobs, bytes, found] = [0, 0, 0]
  let reportedAt = performance.now()
  const progress = (): VerifyLine => {
    reportedAt = performance.now()
    return { is: 'progress', blobs, bytes, ofBlobs, ofBytes, found }
  }
  const onProgress = (more: number): void => {
    bytes += more
  }
  let sharing: SharedParts | undefined
  yield progress()
  const verifying = store.verify({ ...options, onProgress })
  for await (const item of withTicks(verifying, PROGRESS_INTERVAL_MS, progress)) {
    if ('is' in item) {
      yield item
      continue
    }
    blobs += 1
    if (!item.ok) {
      found += 1
      const { digest, size } = item
      sharing ??= await SharedParts.of(store)
      const partOf = await findUsesOf(store, sharing, digest)
      yield { is: 'rotten', digest, size, found: item.found ?? '', partOf }
    }
    if (performance.now() - reportedAt >= PROGRESS_INTERVAL_MS) yield progress()
  }
  yield { is: 'done', blobs, bytes, found }
}

/** Gives the images that refer to a blob; without any, the repositories in which clients requested it. */
async function findUsesOf(store: UpkeepStore, sharing: SharedParts, digest: Digest): Promise<string[]> {
  const images = sharing.tagsWith(digest)
  const uses = images.length > 0 ? images : (await store.repositoriesOf(digest)).map(repositoryKey)
  return uses.slice(0, MAX_PART_OF)
}
