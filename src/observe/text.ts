/** `1.5 GiB`, `312 B`: for people; programs get numbers. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let amount = bytes
  let unit = 0
  // 1023.95 would be rounded to 1024.0 of the smaller unit.
  while (Math.abs(amount) >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    amount /= 1024
    unit += 1
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${units[unit]}`
}

/** `3d`, `2h`, `45s`, `120ms`: the largest unit that fits, rounded down, because "2h ago" is never in the future. */
export function spanText(ms: number): string {
  const span = Math.max(0, ms)
  if (span < 1000) return `${Math.floor(span)}ms`
  if (span < 60_000) return `${Math.floor(span / 1000)}s`
  if (span < 3_600_000) return `${Math.floor(span / 60_000)}m`
  if (span < 2 * 86_400_000) return `${Math.floor(span / 3_600_000)}h`
  return `${Math.floor(span / 86_400_000)}d`
}

export function agoText(at: string, now: number): string {
  return `${spanText(now - Date.parse(at))} ago`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Text from outside could move the cursor or recolour a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?')
}
