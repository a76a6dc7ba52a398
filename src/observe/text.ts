/** Writes a size for people: `1.5 GiB`, `312 B`. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let amount = bytes
  let unit = 0
  // From 1023.95 on, rounding to one digit would print 1024.0 of the smaller unit.
  while (Math.abs(amount) >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    amount /= 1024
    unit += 1
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${units[unit]}`
}

/** Writes a duration for people, rounded down to the largest unit that fits: `3d`, `2h`, `45s`, `120ms`. */
export function spanText(ms: number): string {
  const positiveMs = Math.max(0, ms)
  if (positiveMs < 1000) return `${Math.floor(positiveMs)}ms`
  if (positiveMs < 60_000) return `${Math.floor(positiveMs / 1000)}s`
  if (positiveMs < 3_600_000) return `${Math.floor(positiveMs / 60_000)}m`
  if (positiveMs < 2 * 86_400_000) return `${Math.floor(positiveMs / 3_600_000)}h`
  return `${Math.floor(positiveMs / 86_400_000)}d`
}

export function agoText(at: string, now: number): string {
  return `${spanText(now - Date.parse(at))} ago`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Replaces control characters: in text from outside, they could move the cursor or recolour a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to replace
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?')
}

/** Which share of what clients got did not come from upstream for their requests. */
export function savedShareText({
  toClients,
  fromUpstream,
}: {
  readonly toClients: number
  readonly fromUpstream: number
}): string {
  const total = toClients + fromUpstream
  const percent = total === 0 ? 0 : Math.floor((100 * toClients) / total)
  return `${percent}% of what clients got was not downloaded for them`
}
