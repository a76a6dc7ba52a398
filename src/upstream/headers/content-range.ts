export interface ContentRange {
  readonly start: number
  /** The index of the last byte. */
  readonly end: number
  /** Undefined when the server does not state it (`*`). */
  readonly total: number | undefined
}

const BYTE_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i

/** Parses `bytes 5-9/10` (RFC 9110, 14.4); undefined for other units and for a range that contradicts itself. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = BYTE_RANGE.exec(value?.trim() ?? '')
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2])
  const total = match[3] === '*' ? undefined : Number(match[3])
  if (end < start || (total !== undefined && end >= total)) return undefined
  return { start, end, total }
}
