import { nearest } from './nearest.ts'
import { readAll, SettingsError } from './settings-error.ts'

/** A value as it is written on the command line, in the environment or in a file. */
export interface GivenValue {
  /** `/etc/leat/config.yaml:7` or `LEAT_MAX_BYTES`; undefined for a flag, whose `name` is the location. */
  readonly location: string | undefined
  /** `maxBytes`, `upstreams[0].tagTtl`, `--max-bytes`. */
  readonly name: string
  readonly value: string | readonly GivenValue[] | ReadonlyMap<string, GivenEntry>
}

export interface GivenEntry {
  readonly keyLocation: string | undefined
  readonly given: GivenValue
}

/** A JSON Schema (draft 2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>

/** The values that a setting may have. */
export interface Format<Value> {
  /** Makes a typed value of a given one, or throws a `SettingsError`. */
  readonly read: (given: GivenValue) => Value
  /** The same rule for editors; it may allow more than `read`, never less. */
  readonly jsonSchema: JsonSchema
  /** The given value as a file would have it, with secrets hidden; `read` has accepted the value. */
  readonly show: (given: GivenValue) => ShownValue
}

export type ShownValue = string | readonly ShownValue[] | { readonly [key: string]: ShownValue }

export const HIDDEN = '***'

export function refuse(at: Pick<GivenValue, 'location' | 'name'>, problem: string): never {
  const subject =
    at.location === at.name || at.location === undefined ? at.name : `${at.location}: ${at.name}`
  throw new SettingsError(`${subject} ${problem}`)
}

/** An editor reads `1073741824` and `true` as a number and a boolean, `readYaml` as the text in the file. */
const SCALAR: JsonSchema = { type: ['string', 'number', 'boolean'], minLength: 1 }

/** No setting takes a URL with credentials in it. */
const URL_WITH_CREDENTIALS = /:\/\/[^/?#\s]*@/

/** A URL, an e-mail address or a query may have a password, a key or a signature in it. */
const PERHAPS_SECRET = /:\/\/|[@?=&]/

/**
 * A text, which an error repeats only if it cannot hold a secret. `parse` returns undefined for a text that is not allowed;
 * `allowed` completes "expected …".
 */
export function text<Value>(
  parse: (text: string) => Value | undefined,
  allowed: string,
  jsonSchema: JsonSchema = SCALAR,
): Format<Value> {
  const read = (given: GivenValue): Value => {
    const { value } = given
    if (typeof value !== 'string') return refuse(given, `is ${nounFor(given)}; expected ${allowed}`)
    if (value === '') refuse(given, `has no value; expected ${allowed}`)
    if (URL_WITH_CREDENTIALS.test(value))
      refuse(given, `has credentials in a URL; write them elsewhere, and give ${allowed}`)
    return parse(value) ?? refuse(given, `${isText(value)}; expected ${allowed}`)
  }
  return { read, jsonSchema: { description: `Expected: ${allowed}.`, ...jsonSchema }, show: asGiven }
}

function asGiven({ value }: GivenValue): ShownValue {
  return typeof value === 'string' ? value : HIDDEN
}

/**
 * The schema of texts that match the pattern, which holds for all that is allowed and perhaps for more. The pattern may use
 * only what RE2 has, because Helm checks the values of the chart by it.
 */
export function textLike(pattern: RegExp, maxLength?: number): JsonSchema {
  return { ...SCALAR, pattern: pattern.source, ...(maxLength === undefined ? {} : { maxLength }) }
}

/** A text that matches the pattern, which may use only what RE2 has. */
export function matching(pattern: RegExp, allowed: string, maxLength?: number): Format<string> {
  const isAllowed = (given: string): boolean =>
    pattern.test(given) && given.length <= (maxLength ?? Number.POSITIVE_INFINITY)
  return text((given) => (isAllowed(given) ? given : undefined), allowed, textLike(pattern, maxLength))
}

/** A text that no error repeats. */
export function secretText<Value>(wrap: (text: string) => Value): Format<Value> {
  const read = (given: GivenValue): Value => {
    if (typeof given.value !== 'string') return refuse(given, `is ${nounFor(given)}; expected a text`)
    if (given.value === '') return refuse(given, 'has no value; expected a text')
    return wrap(given.value)
  }
  return { read, jsonSchema: SCALAR, show: () => HIDDEN }
}

/** A list. A single text stands for its parts between commas, so that the environment can give lists, too. */
export function listOf<Value>(item: Format<Value>): Format<readonly Value[]> {
  const read = (given: GivenValue): readonly Value[] => {
    if (given.value instanceof Map) return refuse(given, 'is a map; expected a list')
    if (given.value === '') return refuse(given, 'has no value; expected a list')
    return Object.freeze(readAll(itemsOf(given).map((one) => () => item.read(one))))
  }
  return {
    read,
    jsonSchema: { anyOf: [{ type: 'array', items: item.jsonSchema }, betweenCommas(item)] },
    show: (given) => itemsOf(given).map(item.show),
  }
}

function itemsOf(given: GivenValue): readonly GivenValue[] {
  if (typeof given.value !== 'string') return given.value as readonly GivenValue[]
  return given.value.split(',').map((part) => ({ ...given, value: part.trim() }))
}

/** The schema of a text with parts between commas. */
function betweenCommas({ jsonSchema: { pattern, description } }: Format<unknown>): JsonSchema {
  if (typeof pattern !== 'string') return SCALAR
  const part = ` *(?:${pattern.replace(/^\^|\$$/g, '')}) *`
  return { ...SCALAR, pattern: `^${part}(?:,${part})*$`, description }
}

/**
 * A map with these keys and no others. The caller of the format checks that the map has the `required` ones, and that the
 * `rules` for editors hold.
 */
export function record<Fields extends Readonly<Record<string, Format<unknown>>>>(
  fields: Fields,
  required: readonly (keyof Fields & string)[] = [],
  rules: readonly JsonSchema[] = [],
): Format<{ readonly [Key in keyof Fields]?: ReturnType<Fields[Key]['read']> }> {
  const known = Object.keys(fields)
  const read = (given: GivenValue): { readonly [Key in keyof Fields]?: ReturnType<Fields[Key]['read']> } => {
    if (!(given.value instanceof Map)) {
      return refuse(given, `is ${nounFor(given)}; expected a map with keys out of ${known.join(', ')}`)
    }
    const entries = [...(given.value as ReadonlyMap<string, GivenEntry>)]
    const readEntry = ([key, entry]: readonly [string, GivenEntry]): readonly [string, unknown] => {
      const format = Object.hasOwn(fields, key) ? fields[key] : undefined
      if (format === undefined) return refuseUnknown(entry.keyLocation, key, known)
      return [key, format.read(entry.given)]
    }
    const values = Object.fromEntries(readAll(entries.map((entry) => () => readEntry(entry))))
    return values as { readonly [Key in keyof Fields]?: ReturnType<Fields[Key]['read']> }
  }
  const show = ({ value }: GivenValue): ShownValue =>
    value instanceof Map
      ? Object.fromEntries(
          [...(value as ReadonlyMap<string, GivenEntry>)].map(([key, { given }]) => [
            key,
            fields[key]?.show(given) ?? HIDDEN,
          ]),
        )
      : HIDDEN
  const properties = Object.fromEntries(known.map((key) => [key, fields[key]?.jsonSchema]))
  const allOf = rules.length === 0 ? {} : { allOf: rules }
  return {
    read,
    jsonSchema: { type: 'object', properties, required, additionalProperties: false, ...allOf },
    show,
  }
}

/** The rule of a map in which one key needs one of the others. */
export function needs(key: string, ...others: readonly string[]): JsonSchema {
  return { anyOf: [{ not: { required: [key] } }, ...others.map((other) => ({ required: [other] }))] }
}

export function refuseUnknown(location: string | undefined, key: string, known: readonly string[]): never {
  const suggestion = nearest(key, known)
  const hint = suggestion === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${suggestion}?`
  throw new SettingsError(
    `${location === undefined ? '' : `${location}: `}unknown setting ${quote(nameOf(key))}${hint}`,
  )
}

export function oneOf<Word extends string>(...words: readonly Word[]): Format<Word> {
  return text((given) => words.find((word) => word === given), `one of ${words.join(', ')}`, { enum: words })
}

export const yesOrNo: Format<boolean> = text(
  (given) => (given === 'true' ? true : given === 'false' ? false : undefined),
  'true or false',
  { type: 'boolean' },
)

export const path = text((given) => (/\0|:\/\//.test(given) ? undefined : given), 'a path')

/** Says what a rejected text is, without repeating what may be a secret. */
function isText(given: string): string {
  return PERHAPS_SECRET.test(given) ? 'has a wrong value' : `is ${quote(given)}`
}

/** A text as errors name it, without what may be a secret. */
export function nameOf(given: string): string {
  return PERHAPS_SECRET.test(given) ? HIDDEN : given
}

/** Quotes at most 80 characters, on one line, without control characters. */
export function quote(given: string): string {
  const short = given.length > 80 ? `${given.slice(0, 80)}…` : given
  return JSON.stringify(short)
}

/** Does not repeat a text, which may be a secret where something else is expected. */
function nounFor(given: GivenValue): string {
  if (given.value instanceof Map) return 'a map'
  if (typeof given.value !== 'string') return 'a list'
  return given.value === '' ? 'empty' : 'a text'
}
