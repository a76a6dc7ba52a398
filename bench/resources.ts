/** The servers and folders of a row, which are stopped in reverse order, also after an error. */
export class Resources {
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

export async function withResources<Result>(use: (resources: Resources) => Promise<Result>): Promise<Result> {
  const resources = new Resources()
  try {
    return await use(resources)
  } finally {
    await resources.close()
  }
}
