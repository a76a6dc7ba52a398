/** The part of an upload that a request says it brings: from `start` up to, but without, `end`. */
export interface UploadRange {
  readonly start: number
  readonly end: number
}

/** `0-99` as the OCI distribution spec writes it, and `bytes 0-99/200` as RFC 9110 does. */
const PATTERN = /^(?:bytes\s+)?(\d{1,15})-(\d{1,15})(?:\/(?:\*|\d{1,15}))?$/

/** Undefined: the text is not a range. */
export function parseContentRange(text: string): UploadRange | undefined {
  const match = PATTERN.exec(text.trim())
  if (match === null) return undefined
  const range = { start: Number(match[1]), end: Number(match[2]) + 1 }
  return range.end > range.start ? range : undefined
}

/** The `Range` of an upload; one without bytes is `0-0` at all registries. */
export function rangeUpTo(position: number): string {
  return `0-${Math.max(0, position - 1)}`
}
