/** Random numbers that are the same for the same seed. Not for secrets. */
export class SeededRandom {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = seed >>> 0
  }

  /** At least 0, less than 1 (mulberry32). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** From `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.fraction() * items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }
}

const USUAL_SEED = 1

/** Random numbers from the seed `LEAT_CHAOS_SEED`, or from a new one for `any`. The seed is printed, so that a failed run can be repeated. */
export function seededRandom(suite: string): SeededRandom {
  const seed =
    process.env['LEAT_CHAOS_SEED'] === 'any'
      ? Math.floor(Math.random() * 2 ** 32)
      : (numberFromEnvironment('LEAT_CHAOS_SEED') ?? USUAL_SEED)
  console.log(`${suite}: LEAT_CHAOS_SEED=${seed}`)
  return new SeededRandom(seed)
}

/** A whole number from the environment; undefined when it is not set. */
export function numberFromEnvironment(name: string): number | undefined {
  const text = process.env[name]
  if (text === undefined || text === '') return undefined
  if (!/^\d{1,10}$/.test(text)) throw new Error(`${name} must be a whole number, not ${text}`)
  return Number(text)
}
