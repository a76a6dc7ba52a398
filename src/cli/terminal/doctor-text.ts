import type { Diagnosis } from '../../doctor/examine.ts'
import type { State } from '../../doctor/tools/finding.ts'
import { plural } from '../../observe/text.ts'

const WORDS: Readonly<Record<State, string>> = {
  ok: 'ok',
  warning: 'warning',
  problem: 'problem',
  'not-looked-at': 'not looked at',
}
const STATE_WIDTH = Math.max(...Object.values(WORDS).map(({ length }) => length)) + 2

export function doctorText(diagnoses: readonly Diagnosis[]): string {
  const checkWidth = Math.max(0, ...diagnoses.map(({ check }) => check.length)) + 2
  const margin = ' '.repeat(STATE_WIDTH + checkWidth)
  const lines = diagnoses.flatMap(({ state, check, found, means, todo }) => [
    `${WORDS[state].padEnd(STATE_WIDTH)}${check.padEnd(checkWidth)}${found}`,
    ...(means === null ? [] : [`${margin}means: ${means}`]),
    ...(todo === null ? [] : [`${margin}do:    ${todo}`]),
  ])
  return `${lines.join('\n')}\n\n${summary(diagnoses)}\n`
}

function summary(diagnoses: readonly Diagnosis[]): string {
  const count = (state: State): number => diagnoses.filter((one) => one.state === state).length
  const [problems, warnings] = [count('problem'), count('warning')]
  if (problems + warnings === 0) return 'nothing is wrong'
  return [
    problems === 0 ? 'nothing is wrong' : plural(problems, 'problem'),
    ...(warnings === 0 ? [] : [plural(warnings, 'warning')]),
  ].join(', ')
}
