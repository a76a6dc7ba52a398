import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { Dice } from '../../../testkit/seeded-random.ts'
import type { Item } from './content.ts'

const PIECE = 64 * 1024

/** Something that real registries do, once, to the next request for this. Which, and where in the body, is thrown. */
export function breakOnce(upstream: FaultyUpstream, dice: Dice, item: Item): void {
  const at = dice.between(0, Math.max(0, item.size - 1))
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
      item.spoilt = true
      upstream.fault(item.digest, { corruptAt: at, times: 1 })
    },
  ]
  dice.pick(faults)()
}
