/**
 * Gives the items, and a tick whenever the next item is not there after `everyMs`, so that the receiver of both can tell
 * that the work goes on.
 */
export async function* withTicks<Item, Tick>(
  items: AsyncIterable<Item>,
  everyMs: number,
  tick: () => Tick,
): AsyncGenerator<Item | Tick> {
  const iterator = items[Symbol.asyncIterator]()
  let next = iterator.next()
  let timer: NodeJS.Timeout | undefined
  try {
    for (;;) {
      const late = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), everyMs)
      })
      const result = await Promise.race([next, late])
      clearTimeout(timer)
      if (result === undefined) {
        yield tick()
        continue
      }
      if (result.done === true) return
      yield result.value
      next = iterator.next()
    }
  } finally {
    clearTimeout(timer)
    // The caller has stopped iterating, so no one needs the outcome of the step under way.
    await next.catch(() => {})
    await iterator.return?.()
  }
}
