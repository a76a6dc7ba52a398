import { nearest } from './nearest.ts'

/** A setting that cannot be used. Its message is one sentence that says where it stands and what is allowed. */
export class SettingsError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SettingsError'
  }
}

/** A value as it was given, wherever that was: on the command line, in the environment, in a file. */
export interface Written {
  /** `/etc/leat/config.yaml:7`, `LEAT_MAX_BYTES`; undefined when `name` says it all, as for a flag. */
  readonly place: string | undefined
  /** `maxBytes`, `upstreams[0].tagTtl`, `--max-bytes`. */
  readonly name: string
  readonly value: string | readonly Written[] | ReadonlyMap<string, Entry>
}

export interface Entry {
  /** Where the key stands. */
  readonly place: string | undefined
  readonly written: Written
}

/** Makes a typed value of a written one, or throws a `SettingsError`. */
export type Shape<Value> = (written: Written) => Value

export function refuse(at: Pick<Written, 'place' | 'name'>, problem: string): never {
  const subject = at.place === at.name || at.place === undefined ? at.name : `${at.place}: ${at.name}`
  throw new SettingsError(`${subject} ${problem}`)
}

/** One text, understood by `parse`, which gives undefined for what it does not allow. */
export function text<Value>(parse: (text: string) => Value | undefined, allowed: string): Shape<Value> {
  return (written) => {
    if (written.value === '') refuse(written, `has no value; expected ${allowed}`)
    const value = typeof written.value === 'string' ? parse(written.value) : undefined
    if (value !== undefined) return value
    return refuse(
      written,
      typeof written.value === 'string'
        ? `is ${quote(written.value)}; expected ${allowed}`
        : `is ${nounFor(written)}; expected ${allowed}`,
    )
  }
}

/** As `text`, but what was given is never repeated in an error. */
export function hidden<Value>(wrap: (text: string) => Value): Shape<Value> {
  return (written) => {
    if (typeof written.value !== 'string') return refuse(written, `is ${nounFor(written)}; expected a text`)
    if (written.value === '') return refuse(written, 'has no value; expected a text')
    return wrap(written.value)
  }
}

/** A list; a single text stands for its parts between commas, so that the environment can give lists too. */
export function listOf<Value>(item: Shape<Value>): Shape<readonly Value[]> {
  return (written) => {
    if (written.value instanceof Map) return refuse(written, 'is a map; expected a list')
    if (typeof written.value !== 'string')
      return Object.freeze((written.value as readonly Written[]).map(item))
    if (written.value === '') return refuse(written, 'has no value; expected a list')
    const parts = written.value.split(',').map((part) => part.trim())
    return Object.freeze(parts.map((value) => item({ ...written, value })))
  }
}

/** A map with exactly these keys, each of which may be missing. */
export function record<Fields extends Readonly<Record<string, Shape<unknown>>>>(
  fields: Fields,
): Shape<{ readonly [Key in keyof Fields]?: ReturnType<Fields[Key]> }> {
  const known = Object.keys(fields)
  return (written) => {
    if (!(written.value instanceof Map)) {
      return refuse(written, `is ${nounFor(written)}; expected a map with keys out of ${known.join(', ')}`)
    }
    const values: Record<string, unknown> = {}
    for (const [key, { place, written: inner }] of written.value as ReadonlyMap<string, Entry>) {
      const shape = Object.hasOwn(fields, key) ? fields[key] : undefined
      if (shape === undefined) return refuseUnknown(place, key, known)
      values[key] = shape(inner)
    }
    return values as { readonly [Key in keyof Fields]?: ReturnType<Fields[Key]> }
  }
}

export function refuseUnknown(place: string | undefined, key: string, known: readonly string[]): never {
  const meant = nearest(key, known)
  const hint = meant === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${meant}?`
  throw new SettingsError(`${place === undefined ? '' : `${place}: `}unknown setting ${quote(key)}${hint}`)
}

export function oneOf<Word extends string>(...words: readonly Word[]): Shape<Word> {
  return text((given) => words.find((word) => word === given), `one of ${words.join(', ')}`)
}

export const yesOrNo: Shape<boolean> = text(
  (given) => (given === 'true' ? true : given === 'false' ? false : undefined),
  'true or false',
)

/** Short, on one line, and harmless on a terminal. */
export function quote(given: string): string {
  const short = given.length > 80 ? `${given.slice(0, 80)}…` : given
  return JSON.stringify(short)
}

function nounFor(written: Written): string {
  if (written.value instanceof Map) return 'a map'
  return typeof written.value === 'string' ? quote(written.value) : 'a list'
}
