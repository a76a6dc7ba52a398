/** Opens a stream of items, which ends when the signal is aborted. */
export type OpenStream<Item> = (signal: AbortSignal) => AsyncIterable<Item>

/**
 * Yields the items of several streams as they come. At most `maxOpen` streams are open at once, and each waits until its
 * last item is consumed, so that none runs ahead of the consumer. The first error of a stream ends all. When the
 * generator has ended, no stream is open any more.
 */
export async function* mergeStreams<Item>(
  streams: Iterable<OpenStream<Item>>,
  maxOpen: number,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Item> {
  const ending = new AbortController()
  const streamSignal = AbortSignal.any([signal, ending.signal])
  const queue: { readonly item: Item; consumed(): void }[] = []
  let wake = (): void => {}
  const unopened = streams[Symbol.iterator]()
  const readStreams = async (): Promise<void> => {
    for (let next = unopened.next(); next.done !== true; next = unopened.next()) {
      for await (const item of next.value(streamSignal)) {
        if (streamSignal.aborted) return
        await new Promise<void>((consumed) => {
          queue.push({ item, consumed })
          wake()
        })
      }
    }
  }
  let running = maxOpen
  let failure: { readonly error: unknown } | undefined
  const workers = Array.from({ length: maxOpen }, () =>
    readStreams()
      .catch((error: unknown) => {
        failure ??= { error }
      })
      .finally(() => {
        running -= 1
        wake()
      }),
  )
  try {
    for (;;) {
      if (failure !== undefined) throw failure.error
      const queued = queue.shift()
      if (queued !== undefined) {
        try {
          yield queued.item
        } finally {
          queued.consumed()
        }
      } else if (running === 0) {
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    ending.abort()
    for (const { consumed } of queue) consumed()
    await Promise.all(workers)
  }
}
