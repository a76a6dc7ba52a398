import * as v from 'valibot'

/** How errors name the kinds of JSON values. */
const NOUNS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  strict_object: 'an object',
}
const MAX_NAME_LENGTH = 60

/** Says in one sentence what is wrong with the value of a request body. `example`: a body that is right. */
export function bodyProblem(issue: v.BaseIssue<unknown>, known: readonly string[], example: string): string {
  const path = v.getDotPath(issue)
  const send = `send an object such as ${example}`
  if (path === null) return `the request body is ${nounOf(issue.input)}; ${send}`
  const name = path.length > MAX_NAME_LENGTH ? `${path.slice(0, MAX_NAME_LENGTH)}…` : path
  if (issue.expected === 'never')
    return `the request body has the unknown field ${JSON.stringify(name)}; known are ${known.join(', ')}`
  if (issue.input === undefined) return `the request body lacks ${name}; ${send}`
  return `${name} in the request body is ${valueText(issue.input)}; expected ${expectation(issue)}`
}

function expectation({ type, requirement, input }: v.BaseIssue<unknown>): string {
  switch (type) {
    case 'integer':
    case 'safe_integer':
      return 'a whole number'
    case 'min_value':
      return `${requirement} or more`
    case 'max_value':
      return `${requirement} or less`
    case 'min_length':
      return 'at least one item'
    case 'max_length':
      return `at most ${requirement} ${typeof input === 'string' ? 'characters' : 'items'}`
    default:
      return NOUNS[type] ?? type
  }
}

/** A number is shown; a text may be long, or a secret. */
function valueText(input: unknown): string {
  if (typeof input === 'number') return String(input)
  const isLong = typeof input === 'string' || Array.isArray(input)
  return isLong ? `${nounOf(input)} of length ${input.length}` : nounOf(input)
}

export function nounOf(input: unknown): string {
  if (input === null) return 'null'
  return Array.isArray(input) ? 'a list' : (NOUNS[typeof input] ?? typeof input)
}
