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
    throw new RuntimeFailure(
      `${path}:${cause.line} is not TOML that can be read (${reason}); correct it first`,
      {
        cause,
      },
    )
  }
}

/** The first of these texts that means what is expected; a place inside a string, say, does not. */
export function firstThatMeans(
  candidates: Iterable<string>,
  meansIt: (table: Table) => boolean,
): string | undefined {
  for (const text of candidates) {
    try {
      if (meansIt(parse(text, { integersAsBigInt: 'asNeeded' }))) return text
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
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

/** With one value set, and the tables on the way to it. */
export function withValue(table: Table, [key, ...rest]: readonly string[], value: unknown): Table {
  if (key === undefined) return table
  const inner = rest.length === 0 ? value : withValue(tableAt(table, key) ?? {}, rest, value)
  return { ...table, [key]: inner }
}

/** Whether two documents say the same, in whatever order. */
export function sameMeaning(a: unknown, b: unknown): boolean {
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b))
}

function ordered(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return value.map(ordered)
  if (!isTable(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, ordered(value[key])]),
  )
}

/** A basic string (TOML 1.0, "String"); JSON's escapes are among its own. */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f')
}
