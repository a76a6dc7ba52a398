/** What the two bare processes are told and say. */

export type Order =
  | { readonly do: 'listen'; readonly key: string; readonly cert: string }
  | { readonly do: 'connect'; readonly port: number }
  /** Of the receiver: asks the sender for so many bytes. Without a file they are only counted. */
  | { readonly do: 'receive'; readonly bytes: number; readonly file: string | undefined }
  | { readonly do: 'tell' }

export interface Told {
  /** Where it listens. */
  readonly port?: number
  /** Of the connection. */
  readonly cipher?: string
  /** Of the last transfer, from the question to the last byte. */
  readonly ms?: number
  /** User and system time of the process so far. */
  readonly cpuSeconds: number
}

export type Reply = { readonly told: Told } | { readonly error: string }

/** The question that goes over the connection: a length, in a form of its own. */
export const QUESTION_BYTES = 8
