const LOOK_MS = 10
const MOST_MS = 50

let passed = 0
let lookedAt = performance.now()

/** Milliseconds in which this process ran: while the machine lets it stand still, hardly any time passes. */
export function runningTime(): number {
  const now = performance.now()
  passed += Math.min(now - lookedAt, MOST_MS)
  lookedAt = now
  return passed
}

// What is looked at seldom would pass for what stood still.
setInterval(runningTime, LOOK_MS).unref()
