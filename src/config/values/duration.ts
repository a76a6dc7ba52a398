const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}
const PART = /(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d|w)/y

/** A part of a duration may have decimals; YAML's own schema reads a plain `0` as a number. */
export const DURATION_SCHEMA = {
  anyOf: [{ type: 'string', pattern: '^(0|(\\d{1,12}(\\.\\d{1,6})?(ms|s|m|h|d|w))+)$' }, { const: 0 }],
}

/** Parses a duration such as `60s` or `1h30m` into milliseconds. Only zero needs no unit. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  let total = 0
  let last = Number.POSITIVE_INFINITY
  PART.lastIndex = 0
  while (PART.lastIndex < text.length) {
    const [, amount, name] = PART.exec(text) ?? []
    const unit = name === undefined ? undefined : UNITS[name]
    // Units must descend: `30m1h` is more likely a typing error than intended.
    if (unit === undefined || unit >= last) return undefined
    total += Number(amount) * unit
    last = unit
  }
  return last === Number.POSITIVE_INFINITY || total > Number.MAX_SAFE_INTEGER ? undefined : Math.round(total)
}
