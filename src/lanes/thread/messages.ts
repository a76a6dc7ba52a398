import type { Algorithm } from '../../oci/digest.ts'

/** What a lane is started with. */
export interface LaneData {
  readonly memory: SharedArrayBuffer
}

/** Messages to a lane. `file` numbers the open files of the lane, which obeys commands for a file in order. */
export type LaneCommand =
  /** The main thread stays the owner of `fd`. Without `fd`, bytes are only hashed. */
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
  /** From now on bytes are only hashed. The thread answers with `full`, unless the file is full already. */
  | { readonly do: 'hashOnly'; readonly file: number }
  | { readonly do: 'digest'; readonly file: number }
  /** The thread answers with `ended`, and no longer touches `fd` after that. */
  | { readonly do: 'end'; readonly file: number }

/** Messages from a lane. */
export type LaneReport =
  /** All bytes up to `position` are hashed, and are in the file as far as the file was not `full` before. */
  | {
      readonly is: 'written'
      readonly file: number
      readonly position: number
      /** Checkpoints since the previous report, one character for a byte: a string is the cheapest thing to post. */
      readonly checkpoints: string
    }
  /** The file has `position` bytes and gets no more: the thread no longer touches it. Sent before the next `written`. */
  | {
      readonly is: 'full'
      readonly file: number
      readonly position: number
      /** Undefined after the command `hashOnly`. */
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
