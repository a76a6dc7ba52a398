/** What a row has started, ended in reverse order whatever happened. */
export class Owned {
  readonly #ends: (() => Promise<void>)[] = []

  add<Thing extends { stop(): Promise<void> }>(thing: Thing): Thing {
    this.#ends.push(() => thing.stop())
    return thing
  }

  async close(): Promise<void> {
    let failed: unknown
    for (const end of this.#ends.splice(0).reverse()) {
      await end().catch((error: unknown) => {
        failed ??= error
      })
    }
    if (failed !== undefined) throw failed
  }
}

export async function owning<Result>(use: (owned: Owned) => Promise<Result>): Promise<Result> {
  const owned = new Owned()
  try {
    return await use(owned)
  } finally {
    await owned.close()
  }
}
