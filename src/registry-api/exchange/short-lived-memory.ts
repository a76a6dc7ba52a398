import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** So much waits for a collection at most; one takes about 0.3 ms. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024

type CollectGarbage = (options: { readonly type: 'minor' }) => void

let waitingBytes = 0
let collectGarbage: CollectGarbage | undefined

/**
 * To be called with the size of each piece of a body that comes. Node's HTTP parser copies each into memory outside of the heap,
 * which a collection of the young objects frees. Without this call V8 waits until 20 MiB and more are there, because the heap
 * itself hardly grows, and then marks all of the heap: that took a third of the processor time of pushes.
 */
export function noteShortLivedMemory(bytes: number): void {
  waitingBytes += bytes
  if (waitingBytes < MOST_WAITING_BYTES) return
  waitingBytes = 0
  collectGarbage ??= findCollectGarbage()
  collectGarbage({ type: 'minor' })
}

/** V8 gives the function to new contexts, and only with this flag. */
function findCollectGarbage(): CollectGarbage {
  setFlagsFromString('--expose-gc')
  const found: CollectGarbage = runInNewContext("typeof gc === 'function' ? gc : () => {}")
  setFlagsFromString('--no-expose-gc')
  return found
}
