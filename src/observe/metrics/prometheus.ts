/** In Prometheus' text exposition, version 0.0.4: the little of it that an agent needs. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Lines without HELP and TYPE. */
  samples(): Iterable<string>
}

/** Label values come from requests and registries: whatever there is too much of is counted under this one. */
const OTHER = 'other'

export interface SeriesOptions<Label extends string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly Label[]
  /** At most so many combinations of label values; the rest is counted as `other`. */
  readonly limit?: number
}

const DEFAULT_LIMIT = 200

/** Values by label values, at most `limit` of them. */
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

  at(values: readonly string[]): Value {
    const found = this.#values.get(values.join('\n'))
    if (found !== undefined) return found.value
    const full = this.#values.size >= this.#limit && values.some((value) => value !== OTHER)
    return full ? this.at(values.map(() => OTHER)) : this.#add(values)
  }

  peek(values: readonly string[]): Value | undefined {
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
  readonly #labels: readonly Label[]
  readonly #series: Series<{ count: number }>

  constructor({ name, help, labels, limit = DEFAULT_LIMIT }: SeriesOptions<Label>) {
    this.name = name
    this.help = help
    this.#labels = labels
    this.#series = new Series(labels, limit, () => ({ count: 0 }))
  }

  /** Zero makes the series appear, so that a rate can be computed from its first increase on. */
  add(amount: number, values: Readonly<Record<Label, string>>): void {
    this.#series.at(this.#labels.map((label) => values[label])).count += amount
  }

  value(values: Readonly<Record<Label, string>>): number {
    return this.#series.peek(this.#labels.map((label) => values[label]))?.count ?? 0
  }

  *samples(): Iterable<string> {
    for (const [pairs, { count }] of this.#series.all()) yield sample(this.name, pairs, count)
  }
}

/** Its values are set when something is heard of them. */
export class Gauge<Label extends string> implements Metric {
  readonly type = 'gauge'
  readonly name: string
  readonly help: string
  readonly #labels: readonly Label[]
  readonly #series: Series<{ level: number }>

  constructor({ name, help, labels, limit = DEFAULT_LIMIT }: SeriesOptions<Label>) {
    this.name = name
    this.help = help
    this.#labels = labels
    this.#series = new Series(labels, limit, () => ({ level: 0 }))
  }

  set(level: number, values: Readonly<Record<Label, string>>): void {
    this.#series.at(this.#labels.map((label) => values[label])).level = level
  }

  *samples(): Iterable<string> {
    for (const [pairs, { level }] of this.#series.all()) yield sample(this.name, pairs, level)
  }
}

/** One value without labels, asked for when somebody looks; left out while it is undefined. */
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
    *samples() {
      const value = read()
      if (value !== undefined) yield sample(name, '', value)
    },
  }
}

/** The same values always: what this is, not how it is doing. */
export function constant(name: string, help: string, labels: Readonly<Record<string, string>>): Metric {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`)
  return { name, help, type: 'gauge', samples: () => [sample(name, pairs.join(','), 1)] }
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
  readonly #labels: readonly Label[]
  readonly #bounds: readonly number[]
  readonly #series: Series<Distribution>

  constructor(options: SeriesOptions<Label> & { readonly bounds: readonly number[] }) {
    this.name = options.name
    this.help = options.help
    this.#labels = options.labels
    this.#bounds = options.bounds
    const make = (): Distribution => ({ counts: options.bounds.map(() => 0), sum: 0, count: 0 })
    this.#series = new Series(options.labels, options.limit ?? DEFAULT_LIMIT, make)
  }

  observe(value: number, values: Readonly<Record<Label, string>>): void {
    const found = this.#series.at(this.#labels.map((label) => values[label]))
    const bucket = this.#bounds.findIndex((bound) => value <= bound)
    if (bucket >= 0) found.counts[bucket] = (found.counts[bucket] ?? 0) + 1
    found.sum += value
    found.count += 1
  }

  *samples(): Iterable<string> {
    for (const [pairs, { counts, sum, count }] of this.#series.all()) {
      const before = pairs === '' ? '' : `${pairs},`
      let below = 0
      for (const [i, bound] of this.#bounds.entries()) {
        below += counts[i] ?? 0
        yield sample(`${this.name}_bucket`, `${before}le="${number(bound)}"`, below)
      }
      yield sample(`${this.name}_bucket`, `${before}le="+Inf"`, count)
      yield sample(`${this.name}_sum`, pairs, sum)
      yield sample(`${this.name}_count`, pairs, count)
    }
  }
}

export function exposition(metrics: Iterable<Metric>): string {
  const lines: string[] = []
  for (const metric of metrics) {
    lines.push(`# HELP ${metric.name} ${escapeHelp(metric.help)}`, `# TYPE ${metric.name} ${metric.type}`)
    lines.push(...metric.samples())
  }
  return `${lines.join('\n')}\n`
}

function sample(name: string, pairs: string, value: number): string {
  return pairs === '' ? `${name} ${number(value)}` : `${name}{${pairs}} ${number(value)}`
}

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
}

function escapeValue(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"')
}
