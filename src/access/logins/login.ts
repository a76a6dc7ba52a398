import type { Wish } from '../../ports/access.ts'

/** What a client has proved about itself. */
export type Login =
  | { readonly kind: 'anonymous' }
  | {
      readonly kind: 'known'
      readonly name: string | undefined
      /** What a token allows by itself; undefined: the rules decide. */
      readonly grants: ((wish: Wish) => boolean) | undefined
    }
  | { readonly kind: 'refused'; readonly message: string; readonly isToken: boolean }
  | { readonly kind: 'slow-down'; readonly retryAfterMs: number }

export const ANONYMOUS: Login = { kind: 'anonymous' }

export function refusedLogin(message: string, { isToken = false } = {}): Login {
  return { kind: 'refused', message, isToken }
}
