import type { Digest } from '../../../oci/digest.ts'
import { Failure } from '../../../ports/failure.ts'
import type { Contributor } from '../../../ports/source.ts'
import type { Dispute } from './vouching.ts'

/**
 * The dispute about a pass-through content that peers bring and nobody vouches for: its bytes fill the memory and can
 * never be released, so peers cannot help.
 */
export const UNVOUCHED: Dispute = { goodBytes: 0, culprits: [] }

export function corruptFailure(
  digest: Digest,
  sources: readonly Pick<Contributor, 'name'>[],
  found: string,
): Failure {
  const names = sources.map(({ name }) => name).join(' and ')
  return new Failure('corrupt', `${names} sent other bytes than those of ${digest}.`, {
    source: names,
    expected: digest,
    found,
  })
}

export function disputeFailure(digest: Digest, dispute: Dispute): Failure {
  const { goodBytes, culprits } = dispute
  const message = 'The content cannot be stored, and nobody vouches for the bytes that peers bring.'
  if (dispute === UNVOUCHED) return new Failure('stalled', message)
  return corruptFailure(
    digest,
    culprits.length > 0 ? culprits : [{ name: 'an earlier run' }],
    `other bytes after ${goodBytes}`,
  )
}

export function unknownSizeFailure(cause: Failure | undefined): Failure {
  const message =
    'The content cannot be stored, is larger than the memory for it, and no source says its size.'
  return new Failure('disk', message, { cause })
}

export class SizeContradiction extends Failure {
  constructor(source: string, expected: number, found: number) {
    super('corrupt', `${source} says the content has ${found} bytes; so far it had ${expected}.`, {
      source,
      expected,
      found,
    })
  }
}
