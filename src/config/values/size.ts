import type { DiskLimit } from '../../lib/disk-limit.ts'
import { text, textLike } from './format.ts'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

export const SIZE_SCHEMA = textLike(/^\d{1,16}(?:\.\d{1,6})? ?(?:[KkMmGgTt](?:[Ii][Bb]?|[Bb])|[Bb])?$/)
export const DISK_LIMIT_SCHEMA = textLike(
  /^\d{1,16}(?:\.\d{1,6})? ?(?:[KkMmGgTt](?:[Ii][Bb]?|[Bb])|[Bb]|%)?$/,
)

/**
 * Parses a size such as `50GiB`, `1.5TB` or `1073741824` into bytes. A bare `50G` is refused, because some tools mean
 * 10⁹ by G and others 2³⁰.
 */
export function parseSize(text: string): number | undefined {
  const found = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text)
  const unit = UNITS[found?.[2]?.toLowerCase() ?? '?']
  if (found?.[1] === undefined || unit === undefined) return undefined
  const bytes = Number(found[1]) * unit
  if (bytes > Number.MAX_SAFE_INTEGER) return undefined
  if (!Number.isInteger(bytes) && unit === 1) return undefined
  return Math.floor(bytes)
}

const LEAST_RATE = 64 * 1024

/** A rate in bytes per second. */
export const byteRate = text(
  (given) => {
    const bytes = parseSize(given)
    return bytes !== undefined && bytes >= LEAST_RATE ? bytes : undefined
  },
  'bytes per second such as 100MiB, at least 64KiB',
  SIZE_SCHEMA,
)

/** Parses what stays free, such as `20GiB` or `10%`; `0` is nothing. */
export function parseFreeSpace(text: string): DiskLimit | undefined {
  return /^0 ?%?$/.test(text) ? { bytes: 0 } : parseDiskLimit(text)
}

/** Parses `50GiB`, or `80%` of the data folder's filesystem. Zero is refused. */
export function parseDiskLimit(text: string): DiskLimit | undefined {
  const share = /^(\d{1,3}(?:\.\d{1,6})?) ?%$/.exec(text)
  if (share !== null) {
    const percent = Number(share[1])
    return percent > 0 && percent <= 100 ? { percent } : undefined
  }
  const bytes = parseSize(text)
  return bytes === undefined || bytes === 0 ? undefined : { bytes }
}
