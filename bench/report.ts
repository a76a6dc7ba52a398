import { median } from './stats.ts'

/** Absolute values of a row. */
export interface Figure {
  readonly side: string
  readonly unit: string
  /** One value per repetition. */
  readonly values: readonly number[]
  readonly note?: string | undefined
}

/** Values that are compared with a target. Without a target they are printed for context. */
export interface Check {
  readonly label: string
  readonly unit: string
  readonly values: readonly number[]
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Row {
  readonly group: string
  readonly name: string
  readonly figures: readonly Figure[]
  readonly checks: readonly Check[]
  /** Facts that a reader needs to judge the row, such as a server that is not installed. */
  readonly notes: readonly string[]
}

export type Result = 'ok' | 'MISSED' | ''

/** Whether the median meets the target; empty without a target. */
export function result(check: Check): Result {
  if (check.atLeast === undefined && check.atMost === undefined) return ''
  const value = median(check.values)
  const met = value >= (check.atLeast ?? -Infinity) && value <= (check.atMost ?? Infinity)
  return met ? 'ok' : 'MISSED'
}

const LABEL_WIDTH = 48
const VALUES_WIDTH = 36

export function printRow(row: Row): string {
  const lines = [`${row.group}: ${row.name}`]
  for (const figure of row.figures) {
    lines.push(
      `  ${figure.side.padEnd(LABEL_WIDTH)}${spread(figure.values, figure.unit).padEnd(VALUES_WIDTH)}${figure.note ?? ''}`,
    )
  }
  for (const check of row.checks) {
    const wanted = target(check)
    lines.push(
      `  ${check.label.padEnd(LABEL_WIDTH)}${spread(check.values, check.unit).padEnd(VALUES_WIDTH)}${wanted.padEnd(22)}${result(check)}`,
    )
  }
  for (const note of row.notes) lines.push(`  (${note})`)
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

export function printSummary(rows: readonly Row[]): string {
  const judged = rows.flatMap((row) => row.checks.map((check) => ({ row, check, result: result(check) })))
  const withTarget = judged.filter((one) => one.result !== '')
  const missed = withTarget.filter((one) => one.result === 'MISSED')
  const lines = [`${withTarget.length - missed.length} of ${withTarget.length} targets met`]
  for (const { row, check } of missed) {
    lines.push(
      `  MISSED  ${row.group}: ${row.name}: ${check.label} ${spread(check.values, check.unit)}, ${target(check)}`,
    )
  }
  return `${lines.join('\n')}\n`
}

export function target(check: Check): string {
  if (check.atLeast !== undefined && check.atMost !== undefined)
    return `target ${show(check.atLeast, check.unit)} to ${show(check.atMost, check.unit)}`
  if (check.atLeast !== undefined) return `target >= ${show(check.atLeast, check.unit)}`
  if (check.atMost !== undefined) return `target <= ${show(check.atMost, check.unit)}`
  return ''
}

export function spread(values: readonly number[], unit: string): string {
  if (values.length === 0) return 'nothing measured'
  const middle = show(median(values), unit)
  if (values.length === 1) return middle
  return `${middle}  (${digits(Math.min(...values))}..${digits(Math.max(...values))})`
}

function show(value: number, unit: string): string {
  return `${digits(value)}${unit === 'x' ? '' : ' '}${unit}`
}

function digits(value: number): string {
  const size = Math.abs(value)
  const places = size >= 100 ? 0 : size >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { maximumFractionDigits: places, minimumFractionDigits: places })
}
