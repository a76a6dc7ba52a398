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

const COUNT = /^\d{1,9}$/

export const duration = text(parseDuration, 'a duration such as 30d or 12h', DURATION_SCHEMA)

/** The conditions that keep tags, in every kind of rule. */
const CONDITIONS = {
  keepTags: listOf(matching(/^[\w.*-]{1,128}$/, 'a tag, with * for any text, such as v*')),
  keepLast: text(
    (given) => (COUNT.test(given) ? Number(given) : undefined),
    'a number such as 10',
    textLike(COUNT),
  ),
  keepFor: duration,
}

interface Named {
  readonly names: readonly string[]
}

type Values<Fields extends Readonly<Record<string, Format<unknown>>>> = {
  readonly [Key in keyof Fields]?: ReturnType<Fields[Key]['read']>
}

/**
 * A list of rules, each for the tags of some repositories. `names`: the format of their patterns, with an example of a list.
 * `fields`: what this kind of rule has besides the conditions.
 */
export function tagRules<Fields extends Readonly<Record<string, Format<unknown>>>, Rule>(
  names: { readonly format: Format<string>; readonly example: string },
  fields: Fields,
  ruleOf: (given: Named & Values<typeof CONDITIONS> & Values<Fields>) => Rule,
): Format<readonly Rule[]> {
  const rule = record({ names: listOf(names.format), ...CONDITIONS, ...fields }, ['names'])
  const read = (given: GivenValue): Rule => {
    const values = rule.read(given) as Partial<Named> & Values<typeof CONDITIONS> & Values<Fields>
    if (values.names === undefined || values.names.length === 0) {
      return refuse(
        given,
        `has no names; expected the repositories that the rule is for, such as ${names.example}`,
      )
    }
    return Object.freeze(ruleOf({ ...values, names: values.names }))
  }
  return {
    read: (given) => {
      if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of rules')
      return listOf({ ...rule, read }).read(given)
    },
    jsonSchema: { type: 'array', items: rule.jsonSchema },
    show: listOf(rule).show,
  }
}
