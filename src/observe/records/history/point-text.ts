import * as v from 'valibot'
import { type HistoryPoint, MANIFEST_BOUNDS_MS } from './point.ts'

const amount = v.pipe(v.number(), v.minValue(0))
const CLASSES = MANIFEST_BOUNDS_MS.length + 1

/** A point as it is kept: numbers in a fixed order, because a node has 156 of them. */
const StoredPoint = v.strictTuple([
  v.literal(1),
  amount,
  v.strictTuple([amount, amount, amount, amount, amount]),
  v.strictTuple([amount, amount, amount]),
  v.strictTuple([amount, amount, amount]),
  v.pipe(v.array(amount), v.length(CLASSES)),
  amount,
])

export function writePoint(point: HistoryPoint): string {
  const { at, served, fetched, requests, hits, failed, manifestTimes, storeBytes } = point
  const stored: v.InferOutput<typeof StoredPoint> = [
    1,
    at,
    [served.local, served.inflight, served.peer, served.upstream, served.objectStore],
    [fetched.peer, fetched.upstream, fetched.objectStore],
    [requests, hits, failed],
    manifestTimes,
    storeBytes,
  ]
  return JSON.stringify(stored)
}

/** Undefined: another version has written the point, or the text is damaged. */
export function readPoint(text: string): HistoryPoint | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const parsed = v.safeParse(StoredPoint, value)
  if (!parsed.success) return undefined
  const [
    ,
    at,
    [local, inflight, peer, upstream, servedFromStore],
    [fromPeer, fromUpstream, fromStore],
    counts,
    manifestTimes,
    storeBytes,
  ] = parsed.output
  const [requests, hits, failed] = counts
  return {
    at,
    served: { local, inflight, peer, objectStore: servedFromStore, upstream },
    fetched: { peer: fromPeer, objectStore: fromStore, upstream: fromUpstream },
    requests,
    hits,
    failed,
    manifestTimes,
    storeBytes,
  }
}
