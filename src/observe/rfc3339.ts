/** Writes a time of reports, given in milliseconds since the epoch. A time that is out of range becomes the epoch. */
export function rfc3339(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString()
}
