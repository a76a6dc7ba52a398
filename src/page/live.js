const EVERY_MS = 1000
/** After so many failures in a row, it is tried again this much later. */
const AFTER_FAILURES_MS = [EVERY_MS, 2000, 5000]

/**
 * Takes a turn every second while somebody can see the page, and none while nobody can.
 *
 * @param {(options: { signal: AbortSignal }) => Promise<void>} turn
 * @param {(error: unknown) => void} onFailure
 */
export function whileSeen(turn, onFailure) {
  /** @type {AbortController | undefined} */
  let running
  const look = () => {
    if (document.hidden) {
      running?.abort()
      running = undefined
    } else if (running === undefined) {
      running = new AbortController()
      void run(turn, onFailure, running.signal)
    }
  }
  document.addEventListener('visibilitychange', look)
  look()
}

/**
 * @param {(options: { signal: AbortSignal }) => Promise<void>} turn
 * @param {(error: unknown) => void} onFailure
 * @param {AbortSignal} signal
 */
async function run(turn, onFailure, signal) {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await turn({ signal })
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      onFailure(error)
    }
    const pauseMs = AFTER_FAILURES_MS[Math.min(failures, AFTER_FAILURES_MS.length - 1)]
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
