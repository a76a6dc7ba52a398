/**
 * What `items` gives, and between it, when it lets wait for so long, what `tick` tells: whoever listens should see that
 * it goes on, and not take it for dead.
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
    // Whoever left has nobody to tell how the step that it was in the middle of ended.
    await next.catch(() => {})
    await iterator.return?.()
  }
}
