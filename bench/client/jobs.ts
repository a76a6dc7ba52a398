/** What the bench asks its client process to do, and what comes back. Times are milliseconds of the machine's monotonic clock. */

export type Headers = Readonly<Record<string, string>>

export interface Download {
  readonly port: number
  readonly path: string
  readonly headers?: Headers
  /** Leave, without a word, once so many bytes of the body have come. */
  readonly leaveAfter?: number
  /** Hash the body: for rows about correctness, as it costs more than receiving. */
  readonly hash?: boolean
}

export interface Downloaded {
  readonly status: number
  readonly bytes: number
  readonly startedAt: number
  /** When the first byte of the body had come. */
  readonly firstByteAt: number
  readonly endedAt: number
  /** All that the head promised has come. */
  readonly whole: boolean
  readonly sha256?: string | undefined
  readonly error?: string | undefined
}

export interface LoadRequest {
  readonly path: string
  readonly headers?: Headers
}

export interface Load {
  readonly port: number
  /** Taken in turn. */
  readonly requests: readonly LoadRequest[]
  readonly connections: number
  /** With h2, streams open at a time on each connection. */
  readonly protocol: 'http/1.1' | 'h2c'
  readonly streams?: number
  readonly until: { readonly ms: number } | { readonly requests: number }
  /** Requests per second, sent when they are due whether or not earlier ones were answered. Without it: as fast as answers come. */
  readonly rate?: number
}

export interface Loaded {
  readonly requests: number
  readonly failed: number
  readonly ms: number
  /** From when a request was due (with `rate`) or was sent, to the last byte of its answer. */
  readonly latencyMs: {
    readonly p50: number
    readonly p99: number
    readonly p999: number
    readonly max: number
  }
}

export type Job = { readonly download: readonly Download[] } | { readonly load: Load }
export type Done = { readonly downloaded: readonly Downloaded[] } | { readonly loaded: Loaded }

/** `CLOCK_MONOTONIC`, which is the same in every process of the machine. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
