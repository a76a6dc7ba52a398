/** The query parameters that endpoints read. Parsed without `URLSearchParams`, because every request pays for it. */
export interface Query {
  readonly ns: string | undefined
  readonly n: string | undefined
  readonly last: string | undefined
  readonly artifactType: string | undefined
}

type MutableQuery = { -readonly [Key in keyof Query]: Query[Key] }

const EMPTY: Query = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }
const KEYS: ReadonlySet<string> = new Set(Object.keys(EMPTY))

/** Parses a query. Of repeated parameters the first counts. */
export function parseQuery(query: string): Query {
  if (query === '') return EMPTY
  const parsed: MutableQuery = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const key = equals < 0 ? pair : pair.slice(0, equals)
    if (isKey(key)) parsed[key] ??= equals < 0 ? '' : decode(pair.slice(equals + 1))
  }
  return parsed
}

function isKey(key: string): key is keyof Query {
  return KEYS.has(key)
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
