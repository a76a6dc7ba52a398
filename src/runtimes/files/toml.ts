import { parse, TomlError } from 'smol-toml'
import { RuntimeFailure } from './failure.ts'

export type Table = { readonly [key: string]: unknown }

/** Throws a `RuntimeFailure` that names the file and the line. */
export function readToml(text: string, path: string): Table {
  try {
    return parse(text, { integersAsBigInt: 'asNeeded' })
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const reason = cause.message.replace(/^Invalid TOML document: /, '').split('\n')[0]
    throw new RuntimeFailure(`${path}:${cause.line} is not valid TOML (${reason}); correct it first`, {
      cause,
    })
  }
}

/** The first valid document that has the expected meaning. A change inside a string, for example, has not. */
export function firstWithMeaning(
  candidates: Iterable<string>,
  hasMeaning: (table: Table) => boolean,
): string | undefined {
  for (const text of candidates) {
    try {
      if (hasMeaning(parse(text, { integersAsBigInt: 'asNeeded' }))) return text
    } catch (error) {
      if (!(error instanceof TomlError)) throw error
    }
  }
  return undefined
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

export function tableAt(table: Table | undefined, ...keys: readonly string[]): Table | undefined {
  let at: unknown = table
  for (const key of keys) at = isTable(at) && Object.hasOwn(at, key) ? at[key] : undefined
  return isTable(at) ? at : undefined
}

export function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** A copy of the table with one value set, and the tables above it created. */
export function withValue(table: Table, [key, ...rest]: readonly string[], value: unknown): Table {
  if (key === undefined) return table
  const inner = rest.length === 0 ? value : withValue(tableAt(table, key) ?? {}, rest, value)
  return { ...table, [key]: inner }
}

/** Whether two documents are equal but for the order of their keys. */
export function sameMeaning(a: unknown, b: unknown): boolean {
  return JSON.stringify(sortKeys(a)) === JSON.stringify(sortKeys(b))
}

function sortKeys(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isTable(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys(value[key])]),
  )
}

/** A basic string (TOML 1.0, "String"). Every escape of JSON is also one of TOML. */
export function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f')
}
