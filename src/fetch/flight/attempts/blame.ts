import { publish } from '../../../observe/events.ts'
import type { Digest } from '../../../oci/digest.ts'
import type { Failure } from '../../../ports/failure.ts'
import type { Contributor, Source, Want } from '../../../ports/source.ts'
import { corruptFailure } from '../bytes/dispute-errors.ts'
import type { ReceivedBytes } from '../bytes/received-bytes.ts'
import type { Dispute } from '../bytes/vouching.ts'

export interface BlameOptions {
  readonly want: Want
  readonly sources: readonly Source[]
  readonly received: ReceivedBytes
}

/** Publishes who has brought disputed bytes, and tells the sources. */
export function blameDisputed({ culprits, goodBytes }: Dispute, { want, sources }: BlameOptions): void {
  publishWrongPeers(want.digest, `other bytes after ${goodBytes}`, culprits)
  tellSources(sources, culprits)
}

/** Publishes who has brought bytes with the digest `found`, and gives the sources that are not to be asked again. */
export function blameWrongDigest(
  found: Digest,
  { want, sources, received }: BlameOptions,
): { readonly failure: Failure; readonly wrongSources: readonly Source[] } {
  const { digest } = want
  const { suspects, isResumed, contributors } = received
  if (suspects.length > 0) {
    publishWrongPeers(digest, found, suspects)
    // When several brought bytes, or an earlier run has left some, the bytes of only some may be wrong.
    if (suspects.length === 1 && !isResumed) tellSources(sources, suspects)
    // Upstream is not suspected of bytes that peers may have brought.
    const peers = contributors.filter(({ kind }) => kind === 'peer')
    return { failure: corruptFailure(digest, suspects, found), wrongSources: isResumed ? [] : peers }
  }
  // Upstream is not suspected of bytes that an object store has brought.
  const stores = contributors.filter(({ kind }) => kind === 'object-store')
  const blamed = stores.length > 0 ? stores : contributors
  for (const { name, kind } of blamed) {
    publish('verify.failed', { digest, found, source: name, sourceKind: kind })
  }
  return { failure: corruptFailure(digest, blamed, found), wrongSources: isResumed ? [] : blamed }
}

function publishWrongPeers(digest: Digest, found: string, culprits: readonly Contributor[]): void {
  for (const { name } of culprits) {
    publish('verify.failed', { digest, found, source: name, sourceKind: 'peer' })
  }
}

function tellSources(sources: readonly Source[], culprits: readonly Contributor[]): void {
  for (const source of sources) source.blame?.(culprits)
}
