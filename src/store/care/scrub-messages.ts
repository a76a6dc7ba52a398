import type { Algorithm } from '../../oci/digest.ts'

/** To the thread that hashes what is stored: a piece of a file, each file from its start. Answered before the next one comes. */
export interface HashRequest {
  /** Stays the main thread's. */
  readonly fd: number
  readonly algorithm: Algorithm
  readonly position: number
  readonly length: number
  readonly isLast: boolean
}

export type HashAnswer =
  | { readonly is: 'read' }
  | { readonly is: 'digest'; readonly hex: string }
  /** The file ends before the piece does. */
  | { readonly is: 'short'; readonly size: number }
  | { readonly is: 'failed'; readonly code: string | undefined; readonly message: string }
