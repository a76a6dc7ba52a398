/**
 * Calls `run` when the signal is aborted, or at once when the signal is aborted already. Gives a function that ends the
 * listening. In the latter case `run` is called before this function exists, so `run` must not use it then.
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

/** Resolves when the signal is aborted. It never stops listening, so a caller that may end earlier uses `onAbort`. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve)
  })
}

/**
 * Settles as the promise does, or rejects with the signal's reason as soon as the signal is aborted. The work behind the
 * promise goes on.
 */
export function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason))
    // The promise needs a handler also when the signal comes first: a rejection without one would end the process.
    promise.then(resolve, reject).finally(stop)
  })
}

/**
 * Waits for `ms`. Rejects with the signal's reason when the signal is aborted meanwhile. With `ref: false` the wait does
 * not keep the process running.
 */
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
