const TICK_MS = 10
/** A tick that takes longer means that the process did not run. */
const MAX_TICK_MS = 50

let passed = 0
let tickedAt = performance.now()

/** A clock that hardly advances while a busy machine does not run this process. In milliseconds. */
export function runningTime(): number {
  const now = performance.now()
  passed += Math.min(now - tickedAt, MAX_TICK_MS)
  tickedAt = now
  return passed
}

// Regular ticks keep a clock that is seldom read from losing time.
setInterval(runningTime, TICK_MS).unref()
