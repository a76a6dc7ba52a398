/** A metric in the Prometheus text format, version 0.0.4. The agent uses these three types only. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  /** The sample lines, without HELP and TYPE. */
  samples(): Iterable<string>
}

export function exposition(metrics: Iterable<Metric>): string {
  const lines: string[] = []
  for (const metric of metrics) {
    lines.push(`# HELP ${metric.name} ${escapeHelp(metric.help)}`, `# TYPE ${metric.name} ${metric.type}`)
    lines.push(...metric.samples())
  }
  return `${lines.join('\n')}\n`
}

/** Writes one line. `pairs` are labels with their values, as `label="value"`. */
export function sample(name: string, pairs: string, value: number): string {
  return pairs === '' ? `${name} ${numberText(value)}` : `${name}{${pairs}} ${numberText(value)}`
}

export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
}

export function escapeValue(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"')
}
