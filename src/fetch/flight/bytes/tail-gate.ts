/**
 * The tail gate holds the end of every body back until all of it is verified, so that no client ever has a complete body
 * with a wrong digest. A client asks again for a short body, but remembers a wrong one: containerd keeps a bad ingest for
 * a day.
 */
export const TAIL_BYTES = 64 * 1024

/** How many bytes from the start may leave the agent before all of them are verified. */
export function releasableBytes(written: number, size: number | undefined): number {
  return size === undefined ? 0 : Math.max(0, Math.min(written, size - TAIL_BYTES))
}
