const DAY_MS = 86_400_000
/** The units of humantime and of Go, in milliseconds. */
const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(?:years?|y)$/, 365.25 * DAY_MS],
  [/^(?:months?|M)$/, 30.44 * DAY_MS],
  [/^(?:weeks?|w)$/, 7 * DAY_MS],
  [/^(?:days?|d)$/, DAY_MS],
  [/^(?:hours?|hrs?|h)$/, 3_600_000],
  [/^(?:minutes?|mins?|m)$/, 60_000],
  [/^(?:seconds?|secs?|s)$/, 1000],
  [/^(?:millis|msecs?|ms)$/, 1],
  [/^(?:usecs?|us|µs)$/, 1e-3],
  [/^(?:nsecs?|ns)$/, 1e-6],
]
const WRITTEN: readonly (readonly [string, number])[] = [
  ['d', DAY_MS],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]

/** Turns a duration such as `14 days` or `1h 30m` into one of Leat; undefined if it is none. */
export function durationOf(given: string): string | undefined {
  const parts = [...given.matchAll(/\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]+)\s*/gy)]
  if (parts.map(([part]) => part).join('') !== given || parts.length === 0) {
    return given === '0' ? '0s' : undefined
  }
  let ms = 0
  for (const [, amount, name = ''] of parts) {
    const unit = UNITS.find(([pattern]) => pattern.test(name))?.[1]
    if (unit === undefined) return undefined
    ms += Number(amount) * unit
  }
  let rest = Math.round(ms)
  const written = WRITTEN.flatMap(([name, unit]) => {
    const amount = Math.floor(rest / unit)
    rest -= amount * unit
    return amount === 0 ? [] : [`${amount}${name}`]
  })
  return written.length === 0 ? '0s' : written.join('')
}
