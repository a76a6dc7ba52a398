/** Gives the results of `work` for all items as soon as each is there. At most `most` items are worked on at a time. */
export async function* mapConcurrently<Item, Result>(
  items: Iterable<Item>,
  most: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const rest = items[Symbol.iterator]()
  const running = new Map<number, Promise<readonly [number, Result]>>()
  let started = 0
  try {
    for (;;) {
      while (running.size < most) {
        const next = rest.next()
        if (next.done === true) break
        const number = started++
        running.set(
          number,
          work(next.value).then((result) => [number, result] as const),
        )
      }
      if (running.size === 0) return
      const [number, result] = await Promise.race(running.values())
      running.delete(number)
      yield result
    }
  } finally {
    await Promise.allSettled(running.values())
  }
}
