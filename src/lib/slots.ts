import { onAbort } from './abort.ts'

/** So much at once, and no more; the others wait in the order in which they came. */
export class Slots {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(count: number) {
    this.#free = count
  }

  async use<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    await this.#enter(signal)
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        stop()
        resolve()
      }
      this.#waiting.add(enter)
      const stop = onAbort(signal, () => {
        this.#waiting.delete(enter)
        reject(signal.reason)
      })
    })
  }

  #leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}

/** The results of `work` as they come, of so many at once. */
export async function* asDone<Item, Result>(
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
