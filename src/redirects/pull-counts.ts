/** How often a name was asked for: at least `count` times. */
export interface PullCount {
  readonly name: string
  readonly count: number
}

interface Entry {
  counted: number
  /** What the entry has taken over from the name whose place it has got: `counted` is too high by this much at most. */
  readonly inherited: number
}

/**
 * Counts names in bounded memory (the algorithm Space-Saving, Metwally et al. 2005): when there are too many, a new name
 * takes the place of the least counted one. Whatever clients ask for, names that are asked for often stay.
 */
export class PullCounts {
  readonly #most: number
  readonly #entries = new Map<string, Entry>()

  constructor(most: number) {
    this.#most = most
  }

  add(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) {
      entry.counted += 1
      return
    }
    const inherited = this.#entries.size < this.#most ? 0 : this.#removeLeast()
    this.#entries.set(name, { counted: inherited + 1, inherited })
  }

  /** Gives the names that were surely asked for most often, the first one first. */
  top(length: number): readonly PullCount[] {
    return [...this.#entries]
      .map(([name, { counted, inherited }]) => ({ name, count: counted - inherited }))
      .sort((one, other) => other.count - one.count || (one.name < other.name ? -1 : 1))
      .slice(0, length)
  }

  #removeLeast(): number {
    let [least, fewest] = ['', Number.POSITIVE_INFINITY]
    for (const [name, { counted }] of this.#entries) if (counted < fewest) [least, fewest] = [name, counted]
    this.#entries.delete(least)
    return fewest
  }
}
