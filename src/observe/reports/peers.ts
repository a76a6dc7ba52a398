import type { Digest } from '../../oci/digest.ts'
import type { HoldersReport, PeerStep, PeersReport } from '../../schemas/peer-report.ts'
import type { Totals } from '../metrics/metrics.ts'
import type { FlightEntry } from '../records/journal.ts'
import { scrub } from '../redact.ts'
import { rfc3339 } from './listing.ts'
import type { NodeView, OwnerView, PeersView, PeerView } from './view.ts'

/** A swarm may be larger than anybody wants to read. */
const MOST_MEMBERS = 1000

export function peersReport({ self, members }: PeersView, bytes: Totals['peers']): PeersReport {
  const told = [...members].sort((one, other) => dealings(other) - dealings(one) || byName(one, other))
  return {
    self: { name: self.name, address: self.address, zone: self.zone ?? null },
    bytes,
    count: members.length,
    members: told.slice(0, MOST_MEMBERS).map((peer) => ({
      id: peer.id,
      name: peer.name,
      address: peer.address,
      zone: peer.zone ?? null,
      version: peer.version,
      understood: peer.isUnderstood,
      load: peer.load,
      since: rfc3339(peer.since),
      taken: peer.taken,
      given: peer.given,
    })),
  }
}

/** null when there are no peers that could be asked. */
export async function holdersReport(
  view: Pick<NodeView, 'whoHas'>,
  digest: Digest,
): Promise<HoldersReport | null> {
  const found = await view.whoHas(digest)
  if (found === undefined) return null
  const { owner, asked, answered, holders } = found
  return {
    owner: ownerReport(owner),
    asked,
    answered,
    holders: holders.map(({ name, address, zone, position, isWhole }) => ({
      name,
      address,
      zone: zone ?? null,
      position,
      whole: isWhole,
    })),
  }
}

export function peerSteps({ steps }: FlightEntry): PeerStep[] {
  return steps.map((step): PeerStep => {
    const { afterMs } = step
    if (step.is === 'guided') {
      const { owner, course, from } = step.fact
      return {
        is: 'guided',
        afterMs,
        owner: owner === undefined ? null : ownerReport(owner),
        course,
        from: from ?? null,
      }
    }
    const { name, bytes, ms, error } = step.fact
    return {
      is: 'taken',
      afterMs,
      from: name,
      bytes,
      ms,
      error: error === undefined ? null : scrub(error.message),
    }
  })
}

function ownerReport({ name, isSelf }: OwnerView): HoldersReport['owner'] {
  return { name, self: isSelf }
}

function dealings({ taken, given }: PeerView): number {
  return taken + given
}

function byName({ name: one }: PeerView, { name: other }: PeerView): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
