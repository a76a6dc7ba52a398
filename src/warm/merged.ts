/** Gives things until the signal is aborted. */
export type Giver<Item> = (signal: AbortSignal) => AsyncIterable<Item>

/**
 * What several give, as it comes, of so many at once: from each one thing at a time, so that none runs ahead of whoever
 * takes it. The first that fails ends it. Nobody gives any more when it has ended.
 */
export async function* merged<Item>(
  givers: Iterable<Giver<Item>>,
  most: number,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Item> {
  const leaving = new AbortController()
  const either = AbortSignal.any([signal, leaving.signal])
  const offers: { readonly item: Item; taken(): void }[] = []
  let onNews = (): void => {}
  const rest = givers[Symbol.iterator]()
  const hand = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      for await (const item of next.value(either)) {
        if (either.aborted) return
        await new Promise<void>((taken) => {
          offers.push({ item, taken })
          onNews()
        })
      }
    }
  }
  let running = most
  let failure: { readonly error: unknown } | undefined
  const hands = Array.from({ length: most }, () =>
    hand()
      .catch((error: unknown) => {
        failure ??= { error }
      })
      .finally(() => {
        running -= 1
        onNews()
      }),
  )
  try {
    for (;;) {
      if (failure !== undefined) throw failure.error
      const offer = offers.shift()
      if (offer !== undefined) {
        try {
          yield offer.item
        } finally {
          offer.taken()
        }
      } else if (running === 0) {
        return
      } else {
        await new Promise<void>((resolve) => {
          onNews = resolve
        })
      }
    }
  } finally {
    leaving.abort()
    for (const { taken } of offers) taken()
    await Promise.all(hands)
  }
}
