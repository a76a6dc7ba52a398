import { type Rejection, subscribe } from '../events.ts'

/** However many clients are rejected, the log gets one line in 10 s. */
const SUMMARY_INTERVAL_MS = 10_000

/**
 * Reports rejected clients, counted by reason: the first one at once, the following ones at most once in 10 s. Returns
 * the function that ends the subscription.
 */
export function summarizeRejections(
  report: (counts: Readonly<Partial<Record<Rejection, number>>>) => void,
  { intervalMs = SUMMARY_INTERVAL_MS }: { intervalMs?: number } = {},
): () => void {
  let counts: Partial<Record<Rejection, number>> = {}
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    timer = undefined
    if (Object.keys(counts).length === 0) return
    const reported = counts
    counts = {}
    timer = setTimeout(flush, intervalMs).unref()
    report(reported)
  }
  const unsubscribe = subscribe('http.rejected', ({ reason }) => {
    counts[reason] = (counts[reason] ?? 0) + 1
    if (timer === undefined) flush()
  })
  return () => {
    unsubscribe()
    clearTimeout(timer)
  }
}
