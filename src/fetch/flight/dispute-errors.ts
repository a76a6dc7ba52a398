import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Contributor, Source } from '../../ports/source.ts'
import type { Dispute } from './vouching.ts'

/** Suspect bytes fill all the memory there is, and can be let out neither now nor later: peers cannot help. */
export const UNVOUCHED: Dispute = { goodBytes: 0, culprits: [] }

export function isPeer(source: Source): boolean {
  return source.kind === 'peer'
}

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
  const message = 'It cannot be kept, and nobody vouches for what peers bring of it.'
  if (dispute === UNVOUCHED) return new Failure('stalled', message)
  return corruptFailure(
    digest,
    culprits.length > 0 ? culprits : [{ name: 'an earlier run' }],
    `other bytes after ${goodBytes}`,
  )
}

export function unknownSizeFailure(cause: Failure | undefined): Failure {
  const message = 'It cannot be kept, is more than memory holds, and nobody says how large it will be.'
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
