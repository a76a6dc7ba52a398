/** The parameters of a query string that anyone here asks about. Written by hand: it is on the way of every request. */
export interface Query {
  readonly ns: string | undefined
  readonly n: string | undefined
  readonly last: string | undefined
  readonly artifactType: string | undefined
}

const EMPTY: Query = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }
const KEYS: ReadonlySet<string> = new Set(Object.keys(EMPTY))

/** The first of each counts. */
export function parseQuery(query: string): Query {
  if (query === '') return EMPTY
  const found: Record<string, string | undefined> = {}
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const key = equals < 0 ? pair : pair.slice(0, equals)
    if (KEYS.has(key) && found[key] === undefined)
      found[key] = equals < 0 ? '' : value(pair.slice(equals + 1))
  }
  return { ...EMPTY, ...found }
}

function value(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
