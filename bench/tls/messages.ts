/** The messages of the two bare processes. */

export type Command =
  | { readonly do: 'listen'; readonly key: string; readonly cert: string }
  | { readonly do: 'connect'; readonly port: number }
  /** For the receiver, which requests so many bytes from the sender. Without a file they are only counted. */
  | { readonly do: 'receive'; readonly bytes: number; readonly file: string | undefined }
  | { readonly do: 'report' }

export interface Status {
  /** The port on which the sender listens. */
  readonly port?: number
  /** The cipher of the connection. */
  readonly cipher?: string
  /** The duration of the last transfer, from the request to the last byte. */
  readonly ms?: number
  /** User and system time of the process so far. */
  readonly cpuSeconds: number
}

export type Reply = { readonly status: Status } | { readonly error: string }

/** The size of the request over the connection, which is the number of wanted bytes. */
export const REQUEST_BYTES = 8
