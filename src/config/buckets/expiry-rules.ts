import type { ExpiryRule } from '../../object-store/options/store-options.ts'
import { DURATION_SCHEMA, parseDuration } from '../values/duration.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  record,
  refuse,
  text,
  textLike,
} from '../values/format.ts'
import { repositoryPattern } from '../values/repository-pattern.ts'

const COUNT = /^\d{1,9}$/

const rule = record(
  {
    names: listOf(repositoryPattern),
    keepTags: listOf(matching(/^[\w.*-]{1,128}$/, 'a tag, with * for any text, such as v*')),
    keepLast: text(
      (given) => (COUNT.test(given) ? Number(given) : undefined),
      'a number such as 10',
      textLike(COUNT),
    ),
    keepFor: text(parseDuration, 'a duration such as 30d or 12h', DURATION_SCHEMA),
  },
  ['names'],
)

function readRule(given: GivenValue): ExpiryRule {
  const { names, keepFor, ...rest } = rule.read(given)
  if (names === undefined || names.length === 0)
    return refuse(
      given,
      'has no names; expected the repositories that the rule is for, such as ["ghcr.io/acme/**"]',
    )
  return Object.freeze({ names, ...rest, ...(keepFor === undefined ? {} : { keepForMs: keepFor }) })
}

/** The `expire` of an object store. */
export const expiryRules: Format<readonly ExpiryRule[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of rules')
    return listOf({ ...rule, read: readRule }).read(given)
  },
  jsonSchema: { type: 'array', items: rule.jsonSchema },
  show: listOf(rule).show,
}
