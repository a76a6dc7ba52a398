import type { Algorithm } from '../../oci/digest.ts'

/** To the hash thread: the next piece of a file. Each file is hashed from its start, and each piece is answered. */
export interface HashRequest {
  /** The main thread stays the owner. */
  readonly fd: number
  readonly algorithm: Algorithm
  readonly position: number
  readonly length: number
  readonly isLast: boolean
}

export type HashAnswer =
  | { readonly is: 'read' }
  | { readonly is: 'digest'; readonly hex: string }
  /** The file ends before the piece. */
  | { readonly is: 'short'; readonly size: number }
  | { readonly is: 'failed'; readonly code: string | undefined; readonly message: string }
