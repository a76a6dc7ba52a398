/**
 * Calls `run` when the signal is aborted, or at once when it is already. Gives back what ends the listening, which `run`
 * may use only where the signal was seen not to be aborted yet.
 */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  if (signal.aborted) {
    run()
    return () => {}
  }
  const listener = (): void => run()
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** Resolves when the signal is aborted. It listens until then: what may end before has to use `onAbort`. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve)
  })
}

/** The promise's outcome, or the signal's reason as soon as that is aborted. The promise itself goes on. */
export function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason))
    // Settled handlers also when the signal came first: nobody else may listen to how the promise ends.
    promise.then(resolve, reject).finally(stop)
  })
}

/** Waits, and rejects with the signal's reason when it is aborted meanwhile. `ref: false`: the process may end before. */
export function pause(
  ms: number,
  { signal, ref = true }: { signal: AbortSignal; ref?: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const timer = setTimeout(() => {
      stop()
      resolve()
    }, ms)
    if (!ref) timer.unref()
    const stop = onAbort(signal, () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
