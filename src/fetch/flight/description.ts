import type { Digest } from '../../oci/digest.ts'

/** What the index remembers of a content besides its bytes. The verified bytes show it. */
export interface Description {
  readonly mediaType: string | undefined
  readonly references: readonly Digest[]
  /** Those of the references that the registry need not have. */
  readonly foreign?: readonly Digest[]
  readonly subject: Digest | undefined
}
