/**
 * The end of every body is held back until the whole is verified, so that no client ever holds a complete body with a
 * wrong digest: it sees a short one, and short bodies are retried while wrong ones are remembered (containerd keeps a
 * bad ingest for a day).
 */
export const TAIL_BYTES = 64 * 1024

/** How many bytes from the start may leave the agent before the whole is verified. */
export function releasableBytes(written: number, size: number | undefined): number {
  return size === undefined ? 0 : Math.max(0, Math.min(written, size - TAIL_BYTES))
}
