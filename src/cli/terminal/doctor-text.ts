import type { Diagnosis } from '../../doctor/run-checks.ts'
import type { FindingState } from '../../doctor/tools/finding.ts'
import { plural } from '../../observe/text.ts'

const STATE_TEXTS: Readonly<Record<FindingState, string>> = {
  ok: 'ok',
  note: 'note',
  warning: 'warning',
  problem: 'problem',
  'not-checked': 'not checked',
}
const STATE_WIDTH = Math.max(...Object.values(STATE_TEXTS).map(({ length }) => length)) + 2

export function doctorText(diagnoses: readonly Diagnosis[]): string {
  const checkWidth = Math.max(0, ...diagnoses.map(({ check }) => check.length)) + 2
  const indent = ' '.repeat(STATE_WIDTH + checkWidth)
  const lines = diagnoses.flatMap(({ state, check, found, means, todo }) => [
    `${STATE_TEXTS[state].padEnd(STATE_WIDTH)}${check.padEnd(checkWidth)}${found}`,
    ...(means === null ? [] : [`${indent}effect: ${means}`]),
    ...(todo === null ? [] : [`${indent}action: ${todo}`]),
  ])
  return [...(lines.length === 0 ? [] : [...lines, '']), summary(diagnoses), ''].join('\n')
}

function summary(diagnoses: readonly Diagnosis[]): string {
  const count = (state: FindingState): number =>
    diagnoses.filter((diagnosis) => diagnosis.state === state).length
  const [problems, warnings] = [count('problem'), count('warning')]
  return [
    problems === 0 ? 'no problems found' : plural(problems, 'problem'),
    ...(warnings === 0 ? [] : [plural(warnings, 'warning')]),
  ].join(', ')
}
