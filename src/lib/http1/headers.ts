/** The headers of one message. Their names are compared in lower case, and a name may have several values. */
export class HttpHeaders {
  readonly #values = new Map<string, string[]>()

  constructor(pairs: Iterable<readonly [string, string]>) {
    for (const [name, value] of pairs) {
      const key = name.toLowerCase()
      const known = this.#values.get(key)
      if (known === undefined) this.#values.set(key, [value])
      else known.push(value)
    }
  }

  /** Gives the value of a header, or the first of several. */
  get(name: string): string | undefined {
    return this.#values.get(name)?.[0]
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** All headers as pairs of name and value, which can be posted to another thread. */
  pairs(): [string, string][] {
    return [...this.#values].flatMap(([name, values]) =>
      values.map((value): [string, string] => [name, value]),
    )
  }
}
