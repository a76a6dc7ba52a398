import { type Rejection, subscribe } from './events.ts'

/** A flood of rejections is told of once in this time. */
const EVERY_MS = 10_000

/**
 * Tells of clients that were refused or cut off: of the first one at once, then at most once in ten seconds, with how
 * many there were for each reason. Gives back what ends that.
 */
export function summarizeRejections(
  tell: (counts: Readonly<Partial<Record<Rejection, number>>>) => void,
  { everyMs = EVERY_MS }: { everyMs?: number } = {},
): () => void {
  let counts: Partial<Record<Rejection, number>> = {}
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    timer = undefined
    if (Object.keys(counts).length === 0) return
    const counted = counts
    counts = {}
    timer = setTimeout(flush, everyMs).unref()
    tell(counted)
  }
  const end = subscribe('http.rejected', ({ reason }) => {
    counts[reason] = (counts[reason] ?? 0) + 1
    if (timer === undefined) flush()
  })
  return () => {
    end()
    clearTimeout(timer)
  }
}
