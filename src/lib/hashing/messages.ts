/** To the hash thread: the next piece of a content, which is a file or a range of one. Each piece is answered. */
export interface HashRequest {
  /** The main thread stays the owner. */
  readonly fd: number
  readonly algorithm: 'sha256' | 'sha512'
  readonly position: number
  readonly length: number
  readonly isFirst: boolean
  readonly isLast: boolean
}

export type HashAnswer =
  | { readonly is: 'read' }
  | { readonly is: 'digest'; readonly hex: string }
  /** The file ends before the piece. */
  | { readonly is: 'short'; readonly size: number }
  | { readonly is: 'failed'; readonly code: string | undefined; readonly message: string }
