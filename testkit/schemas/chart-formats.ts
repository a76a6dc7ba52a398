import { SETTINGS, type SettingName } from '../../src/config/schema.ts'

type Schema = Readonly<Record<string, unknown>>

/**
 * The format of a setting as a value of the chart: a text, because Helm writes large numbers as 1e+09, and an empty one for
 * a setting without a default. A list takes no text with commas.
 */
export function formatOf(name: SettingName): Schema {
  const { format, defaultValue } = SETTINGS[name]
  return textOf(format.jsonSchema, defaultValue === undefined)
}

function textOf(schema: Schema, mayBeEmpty: boolean): Schema {
  const { type, minLength, pattern, anyOf, ...rest } = schema
  if (Array.isArray(anyOf)) {
    const list = (anyOf as readonly Schema[]).find((one) => one['type'] === 'array')
    if (list === undefined) throw new TypeError('the setting is neither a text nor a list')
    return { type: 'array', items: textOf(list['items'] as Schema, false) }
  }
  if (typeof pattern !== 'string') return rest
  const whole = mayBeEmpty ? `^(?:${pattern.replace(/^\^|\$$/g, '')})?$` : pattern
  return { ...rest, type: 'string', pattern: whole }
}
