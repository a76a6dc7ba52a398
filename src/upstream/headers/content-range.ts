export interface ContentRange {
  readonly start: number
  readonly end: number
  /** Undefined when the other side does not say (`*`). */
  readonly total: number | undefined
}

const SHAPE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i

/** `bytes 5-9/10` (RFC 9110, 14.4); undefined when it is anything else or makes no sense. `end` is the last byte. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = SHAPE.exec(value?.trim() ?? '')
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2])
  const total = match[3] === '*' ? undefined : Number(match[3])
  if (end < start || (total !== undefined && end >= total)) return undefined
  return { start, end, total }
}
