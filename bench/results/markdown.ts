import { type Check, result, spread, target } from '../report.ts'
import type { BenchResult } from './result-file.ts'

const BEGIN = '<!-- figures of npm run bench -->'
const END = '<!-- end of the figures -->'

/** Writes what was compared as a table, with the day and the machine. Missed targets come first. */
export function markdownTable({ startedAt, isQuick, machine, rows }: BenchResult): string {
  const judged = rows.flatMap(({ group, name, checks }) => checks.map((check) => ({ group, name, check })))
  const isMissed = ({ check }: { check: Check }): boolean => result(check) === 'MISSED'
  const sorted = [...judged.filter(isMissed), ...judged.filter((one) => !isMissed(one))]
  return [
    `Measured on ${startedAt.slice(0, 10)}${isQuick ? ' with few repetitions' : ''}: ${machine.cores} cores (${machine.cpu}), Node ${machine.node}, load ${machine.load[0] ?? 'unknown'} at the start. Each value is the median of measurements in turns, with the lowest and the highest.`,
    '',
    '| | measured | target | |',
    '|---|---|---|---|',
    ...sorted.map(({ group, name, check }) =>
      row([
        `${group}: ${name}: ${check.label}`,
        spread(check.values, check.unit),
        target(check).replace(/^target /, ''),
        result(check),
      ]),
    ),
  ].join('\n')
}

/** Replaces what is between the two marks of a document. Throws when the document does not have them. */
export function embedFigures(document: string, figures: string): string {
  const begin = document.indexOf(BEGIN)
  const end = document.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`the document lacks the lines ${BEGIN} and ${END}`)
  return `${document.slice(0, begin + BEGIN.length)}\n${figures}\n${document.slice(end)}`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
