import { DURATION_SCHEMA, parseDuration } from './values/duration.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  record,
  refuse,
  text,
  textLike,
} from './values/format.ts'
import { hostedPattern } from './values/repository-pattern.ts'

/** Which tags of some hosted repositories stay; durations are in milliseconds. */
export interface RetentionSettings {
  readonly names: readonly string[]
  readonly keepTags?: readonly string[]
  readonly keepLast?: number
  readonly keepForMs?: number
  readonly keepPulledWithinMs?: number
  readonly untaggedMs?: number
}

const duration = text(parseDuration, 'a duration such as 30d or 12h', DURATION_SCHEMA)
const tags = listOf(matching(/^[\w.*-]{1,128}$/, 'a tag, with * for any text, such as v*'))
const number = text(
  (given) => (/^\d{1,9}$/.test(given) ? Number(given) : undefined),
  'a number such as 10',
  textLike(/^\d{1,9}$/),
)
const rule = record(
  {
    names: listOf(hostedPattern),
    keepTags: tags,
    keepLast: number,
    keepFor: duration,
    keepPulledWithin: duration,
    untagged: duration,
  },
  ['names'],
)

function readRule(given: GivenValue): RetentionSettings {
  const { names, keepTags, keepLast, keepFor, keepPulledWithin, untagged } = rule.read(given)
  if (names === undefined || names.length === 0) {
    return refuse(given, 'has no names; expected the repositories that the rule is for, such as [team/**]')
  }
  return Object.freeze({
    names,
    ...(keepTags === undefined ? {} : { keepTags }),
    ...(keepLast === undefined ? {} : { keepLast }),
    ...(keepFor === undefined ? {} : { keepForMs: keepFor }),
    ...(keepPulledWithin === undefined ? {} : { keepPulledWithinMs: keepPulledWithin }),
    ...(untagged === undefined ? {} : { untaggedMs: untagged }),
  })
}

/** The `hostedRetention` setting. */
export const retention: Format<readonly RetentionSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of rules')
    return listOf({ ...rule, read: readRule }).read(given)
  },
  jsonSchema: { type: 'array', items: rule.jsonSchema },
  show: listOf(rule).show,
}
