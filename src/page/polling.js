const INTERVAL_MS = 1000
/** The pause before the next attempt grows with the number of failures in a row. */
const PAUSES_MS = [INTERVAL_MS, 2000, 5000]

/**
 * Calls `poll` every second while the page is visible.
 *
 * @param {(options: { signal: AbortSignal }) => Promise<void>} poll
 * @param {(error: unknown) => void} onFailure
 */
export function pollWhileVisible(poll, onFailure) {
  /** @type {AbortController | undefined} */
  let running
  const startOrStop = () => {
    if (document.hidden) {
      running?.abort()
      running = undefined
    } else if (running === undefined) {
      running = new AbortController()
      void run(poll, onFailure, running.signal)
    }
  }
  document.addEventListener('visibilitychange', startOrStop)
  startOrStop()
}

/**
 * @param {(options: { signal: AbortSignal }) => Promise<void>} poll
 * @param {(error: unknown) => void} onFailure
 * @param {AbortSignal} signal
 */
async function run(poll, onFailure, signal) {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await poll({ signal })
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      onFailure(error)
    }
    const pauseMs = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
