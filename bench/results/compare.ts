import { type Check, type Row, spread } from '../report.ts'
import { median } from '../stats.ts'
import type { BenchResult } from './result-file.ts'

/** A single value says nothing about its spread, so a difference must be at least this large to count. */
const SINGLE_VALUE_SPREAD = 0.1

/** `changed`: the values differ, and the check does not say whether more is better. */
export type Verdict = 'same' | 'better' | 'worse' | 'changed' | 'only in the first' | 'only in the second'

export interface Comparison {
  readonly name: string
  readonly verdict: Verdict
  readonly before: Check | undefined
  readonly after: Check | undefined
}

/** Compares the checks of two runs, which are ratios: figures of different days or machines cannot be compared. */
export function compareResults(before: BenchResult, after: BenchResult): Comparison[] {
  const first = checksOf(before.rows)
  const second = checksOf(after.rows)
  return [...new Set([...first.keys(), ...second.keys()])].map((name) => {
    const [one, other] = [first.get(name), second.get(name)]
    return { name, verdict: verdictOf(one, other), before: one, after: other }
  })
}

/** Values that overlap in their spread are the same. */
export function verdictOf(before: Check | undefined, after: Check | undefined): Verdict {
  if (before === undefined) return 'only in the second'
  if (after === undefined) return 'only in the first'
  const [lowBefore, highBefore] = rangeOf(before.values)
  const [lowAfter, highAfter] = rangeOf(after.values)
  if (before.values.length === 0 || after.values.length === 0) return 'changed'
  if (lowAfter <= highBefore && lowBefore <= highAfter) return 'same'
  const isMore = lowAfter > highBefore
  const { atLeast, atMost } = after
  if ((atLeast === undefined) === (atMost === undefined)) return 'changed'
  return isMore === (atLeast !== undefined) ? 'better' : 'worse'
}

export function printComparison(comparisons: readonly Comparison[]): string {
  const width = Math.max(...comparisons.map(({ name }) => name.length), 0)
  const lines = comparisons.map(({ name, verdict, before, after }) => {
    const values = [before, after].map((check) =>
      check === undefined ? 'not measured' : spread(check.values, check.unit),
    )
    return `${verdict.padEnd(20)}${name.padEnd(width + 2)}${values.join('  ->  ')}`
  })
  const count = (verdict: Verdict): number =>
    comparisons.filter((comparison) => comparison.verdict === verdict).length
  lines.push(
    `${count('better')} better, ${count('worse')} worse, ${count('same')} the same within the spread, ${count('changed')} changed`,
  )
  return `${lines.join('\n')}\n`
}

function checksOf(rows: readonly Row[]): Map<string, Check> {
  return new Map(
    rows.flatMap(({ group, name, checks }) =>
      checks.map((check) => [`${group}: ${name}: ${check.label}`, check] as const),
    ),
  )
}

function rangeOf(values: readonly number[]): [low: number, high: number] {
  if (values.length > 1) return [Math.min(...values), Math.max(...values)]
  const value = median(values)
  const around = (Math.abs(value) * SINGLE_VALUE_SPREAD) / 2
  return [value - around, value + around]
}
