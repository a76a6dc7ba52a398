import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { SeededRandom } from '../../../testkit/seeded-random.ts'
import type { Item } from './content.ts'

const PIECE = 64 * 1024

/** Sets a fault that real registries have for the next request for the item. The fault and its offset are random. */
export function breakOnce(upstream: FaultyUpstream, random: SeededRandom, item: Item): void {
  const at = random.between(0, Math.max(0, item.size - 1))
  const faults = [
    () => upstream.fault(item.digest, { dieAt: at, times: 1 }),
    () => upstream.fault(item.digest, { dieAt: at, how: 'rst', times: 1 }),
    () => upstream.fault(item.digest, { chunked: true, times: 1 }),
    () => upstream.fault(item.digest, { chunked: true, dieAt: at, times: 1 }),
    () => upstream.fault(item.digest, { stallAt: at, times: 1 }),
    () => upstream.fault(item.digest, { status: 503, times: 1 }),
    () => upstream.fault(item.digest, { ignoreRange: true, times: 1 }),
    () => upstream.fault(item.digest, { redirect: { uses: 1 }, times: 1 }),
    () => upstream.fault(item.digest, { drip: { bytes: PIECE, everyMs: 1 }, times: 1 }),
    () => {
      item.wasCorrupted = true
      upstream.fault(item.digest, { corruptAt: at, times: 1 })
    },
  ]
  random.pick(faults)()
}
