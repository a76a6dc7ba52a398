import { escapeValue, type Metric, numberText, sample } from './text-format.ts'

/** Clients and registries choose label values. Beyond the limit of a metric, this value stands for all further ones. */
const OTHER = 'other'

export interface SeriesOptions<Label extends string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly Label[]
  /** The metric holds at most this many combinations of label values and counts the rest as `other`. */
  readonly limit?: number
}

/** 200 series of one metric are far more than a node with a few dozen registries needs. */
const DEFAULT_LIMIT = 200

/** Holds one value for each combination of label values, for at most `limit` combinations. */
class Series<Value> {
  readonly #labels: readonly string[]
  readonly #limit: number
  readonly #make: () => Value
  readonly #values = new Map<string, { readonly pairs: string; readonly value: Value }>()

  constructor(labels: readonly string[], limit: number, make: () => Value) {
    this.#labels = labels
    this.#limit = limit
    this.#make = make
  }

  getOrAdd(values: readonly string[]): Value {
    const found = this.#values.get(values.join('\n'))
    if (found !== undefined) return found.value
    const full = this.#values.size >= this.#limit && values.some((value) => value !== OTHER)
    return full ? this.getOrAdd(values.map(() => OTHER)) : this.#add(values)
  }

  get(values: readonly string[]): Value | undefined {
    return this.#values.get(values.join('\n'))?.value
  }

  *all(): Iterable<readonly [pairs: string, value: Value]> {
    for (const { pairs, value } of this.#values.values()) yield [pairs, value]
  }

  #add(values: readonly string[]): Value {
    const pairs = this.#labels.map((label, i) => `${label}="${escapeValue(values[i] ?? '')}"`).join(',')
    const value = this.#make()
    this.#values.set(values.join('\n'), { pairs, value })
    return value
  }
}

export class Counter<Label extends string = never> implements Metric {
  readonly type = 'counter'
  readonly name: string
  readonly help: string
  readonly labels: readonly Label[]
  readonly #series: Series<{ count: number }>

  constructor({ name, help, labels, limit = DEFAULT_LIMIT }: SeriesOptions<Label>) {
    this.name = name
    this.help = help
    this.labels = labels
    this.#series = new Series(labels, limit, () => ({ count: 0 }))
  }

  /** Adding 0 makes the series appear, so that `rate()` sees its first increase. */
  add(amount: number, values: Readonly<Record<Label, string>>): void {
    this.#series.getOrAdd(this.labels.map((label) => values[label])).count += amount
  }

  value(values: Readonly<Record<Label, string>>): number {
    return this.#series.get(this.labels.map((label) => values[label]))?.count ?? 0
  }

  *samples(): Iterable<string> {
    for (const [pairs, { count }] of this.#series.all()) yield sample(this.name, pairs, count)
  }
}

/** A gauge whose values are set by events. */
export class Gauge<Label extends string> implements Metric {
  readonly type = 'gauge'
  readonly name: string
  readonly help: string
  readonly labels: readonly Label[]
  readonly #series: Series<{ level: number }>

  constructor({ name, help, labels, limit = DEFAULT_LIMIT }: SeriesOptions<Label>) {
    this.name = name
    this.help = help
    this.labels = labels
    this.#series = new Series(labels, limit, () => ({ level: 0 }))
  }

  set(level: number, values: Readonly<Record<Label, string>>): void {
    this.#series.getOrAdd(this.labels.map((label) => values[label])).level = level
  }

  *samples(): Iterable<string> {
    for (const [pairs, { level }] of this.#series.all()) yield sample(this.name, pairs, level)
  }
}

/** Makes a metric of one value without labels, which is read at each scrape. The sample is left out while the value is undefined. */
export function readWhenScraped(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: () => number | undefined,
): Metric {
  return {
    name,
    help,
    type,
    labels: [],
    *samples() {
      const value = read()
      if (value !== undefined) yield sample(name, '', value)
    },
  }
}

/** Makes a gauge of constant value 1 whose labels carry the information, such as the version. */
export function infoMetric(name: string, help: string, labels: Readonly<Record<string, string>>): Metric {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`)
  return {
    name,
    help,
    type: 'gauge',
    labels: Object.keys(labels),
    samples: () => [sample(name, pairs.join(','), 1)],
  }
}

interface Distribution {
  readonly counts: number[]
  sum: number
  count: number
}

export class Histogram<Label extends string> implements Metric {
  readonly type = 'histogram'
  readonly name: string
  readonly help: string
  readonly labels: readonly Label[]
  readonly #bounds: readonly number[]
  readonly #series: Series<Distribution>

  constructor(options: SeriesOptions<Label> & { readonly bounds: readonly number[] }) {
    this.name = options.name
    this.help = options.help
    this.labels = options.labels
    this.#bounds = options.bounds
    const newDistribution = (): Distribution => ({ counts: options.bounds.map(() => 0), sum: 0, count: 0 })
    this.#series = new Series(options.labels, options.limit ?? DEFAULT_LIMIT, newDistribution)
  }

  observe(value: number, values: Readonly<Record<Label, string>>): void {
    const distribution = this.#series.getOrAdd(this.labels.map((label) => values[label]))
    const bucket = this.#bounds.findIndex((bound) => value <= bound)
    if (bucket >= 0) distribution.counts[bucket] = (distribution.counts[bucket] ?? 0) + 1
    distribution.sum += value
    distribution.count += 1
  }

  /** The mean of what was observed; undefined while nothing was. */
  mean(values: Readonly<Record<Label, string>>): number | undefined {
    const distribution = this.#series.get(this.labels.map((label) => values[label]))
    return distribution === undefined ? undefined : distribution.sum / distribution.count
  }

  *samples(): Iterable<string> {
    for (const [pairs, { counts, sum, count }] of this.#series.all()) {
      const prefix = pairs === '' ? '' : `${pairs},`
      let cumulative = 0
      for (const [i, bound] of this.#bounds.entries()) {
        cumulative += counts[i] ?? 0
        yield sample(`${this.name}_bucket`, `${prefix}le="${numberText(bound)}"`, cumulative)
      }
      yield sample(`${this.name}_bucket`, `${prefix}le="+Inf"`, count)
      yield sample(`${this.name}_sum`, pairs, sum)
      yield sample(`${this.name}_count`, pairs, count)
    }
  }
}
