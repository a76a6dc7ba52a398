import { type Format, type JsonSchema, refuse, text } from '../values/format.ts'

/**
 * The text of a URL, which no error repeats: a URL that is refused may have a password, a key or a signature in it. `parse`
 * returns undefined for a text that is not allowed; `allowed` completes "expected …".
 */
export function urlText<Value>(
  parse: (text: string) => Value | undefined,
  allowed: string,
  jsonSchema?: JsonSchema,
): Format<Value> {
  return {
    ...text(parse, allowed, jsonSchema),
    read: (given) => {
      const value = typeof given.value === 'string' ? parse(given.value) : undefined
      const problem = given.value === '' ? 'has no value' : 'has a wrong value'
      return value ?? refuse(given, `${problem}; expected ${allowed}`)
    },
  }
}
