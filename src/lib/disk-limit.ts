/** An amount of disk: absolute, or a share of a filesystem, which may be limited. */
export type DiskLimit =
  | { readonly bytes: number }
  | { readonly percent: number; readonly atMostBytes?: number }

/** How many bytes the amount is on a filesystem of `totalBytes`. */
export function bytesOfLimit(limit: DiskLimit, totalBytes: number): number {
  if ('bytes' in limit) return limit.bytes
  const share = Math.floor((totalBytes * limit.percent) / 100)
  return Math.min(share, limit.atMostBytes ?? share)
}
