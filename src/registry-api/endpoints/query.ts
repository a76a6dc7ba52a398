/** The parameters of a query string that anyone here asks about. Written by hand: it is on the way of every request. */
export interface Query {
  readonly ns: string | undefined
  readonly n: string | undefined
  readonly last: string | undefined
  readonly artifactType: string | undefined
}

type Mutable = { -readonly [Key in keyof Query]: Query[Key] }

const EMPTY: Query = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }
const KEYS: ReadonlySet<string> = new Set(Object.keys(EMPTY))

/** The first of each counts. */
export function parseQuery(query: string): Query {
  if (query === '') return EMPTY
  const found: Mutable = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const key = equals < 0 ? pair : pair.slice(0, equals)
    if (isKey(key)) found[key] ??= equals < 0 ? '' : value(pair.slice(equals + 1))
  }
  return found
}

function isKey(key: string): key is keyof Query {
  return KEYS.has(key)
}

function value(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
