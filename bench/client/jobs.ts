/** The jobs of the client process and their results. Times are milliseconds of the machine's monotonic clock. */

export type Headers = Readonly<Record<string, string>>

export interface Download {
  readonly port: number
  readonly path: string
  readonly headers?: Headers
  /** Closes the connection after so many bytes of the body. */
  readonly leaveAfter?: number
  /** Hashes the body, which costs more than receiving it. */
  readonly hash?: boolean
}

export interface Downloaded {
  readonly status: number
  readonly bytes: number
  readonly startedAt: number
  /** When the first byte of the body came. */
  readonly firstByteAt: number
  readonly endedAt: number
  /** Whether as many bytes came as the answer declares. */
  readonly isWhole: boolean
  readonly sha256?: string | undefined
  readonly error?: string | undefined
}

export interface LoadRequest {
  readonly path: string
  readonly headers?: Headers
  readonly body?: string
}

export interface Load {
  readonly port: number
  /** The requests, which are sent in turn. */
  readonly requests: readonly LoadRequest[]
  readonly connections: number
  /** How many streams each connection has with h2c. */
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
