import type { Algorithm } from '../../oci/digest.ts'

/** What a writer thread is started with. */
export interface WriterData {
  readonly memory: SharedArrayBuffer
}

/** To a writer thread. `file` numbers what is open there; what is said about one is done in the order in which it is said. */
export type Command =
  /** `fd` stays the main thread's. Without one, what is written is only hashed. */
  | {
      readonly do: 'open'
      readonly file: number
      readonly fd: number | undefined
      readonly algorithm: Algorithm
    }
  /** Reads and hashes the next bytes, which are in the file already. */
  | { readonly do: 'hash'; readonly file: number; readonly length: number }
  /** Hashes and appends a piece of the shared memory. */
  | { readonly do: 'write'; readonly file: number; readonly offset: number; readonly length: number }
  /** From here on what is written is only hashed. Answered with `full`, unless it is already. */
  | { readonly do: 'pass'; readonly file: number }
  | { readonly do: 'digest'; readonly file: number }
  /** Answered with `ended`; after that the thread no longer touches `fd`. */
  | { readonly do: 'end'; readonly file: number }

/** From a writer thread. */
export type Report =
  /** So many bytes from the start are hashed, and in the file as far as it was not `full` before. */
  | {
      readonly is: 'written'
      readonly file: number
      readonly position: number
      /** Those that have come since it was told before, a character for a byte: strings cost least to send. */
      readonly marks: string
    }
  /** So many bytes are in the file and no more will be: the thread no longer touches it. Told before the next `written`. */
  | {
      readonly is: 'full'
      readonly file: number
      readonly position: number
      /** undefined when it was told to stop. */
      readonly error: { readonly code: string | undefined; readonly message: string } | undefined
    }
  | { readonly is: 'digest'; readonly file: number; readonly hex: string }
  | {
      readonly is: 'failed'
      readonly file: number
      readonly code: string | undefined
      readonly message: string
    }
  | { readonly is: 'ended'; readonly file: number }
