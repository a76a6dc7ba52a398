import type { Digest } from '../../oci/digest.ts'
import type { HoldersReport, PeerStep, PeersReport } from '../../schemas/peer-report.ts'
import type { CounterTotals } from '../metrics/metrics.ts'
import type { FlightRecord } from '../records/journal.ts'
import { redact } from '../redact.ts'
import { rfc3339 } from './listing.ts'
import type { NodeView, OwnerView, PeersView, PeerView } from './view.ts'

/** Bounds the size of the report in a large swarm. */
const MAX_MEMBERS = 1000

export function peersReport({ self, members }: PeersView, bytes: CounterTotals['peers']): PeersReport {
  const sorted = [...members].sort(
    (one, other) => exchangedBytes(other) - exchangedBytes(one) || byName(one, other),
  )
  return {
    self: { name: self.name, address: self.address, zone: self.zone ?? null },
    bytes,
    count: members.length,
    members: sorted.slice(0, MAX_MEMBERS).map((peer) => ({
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

/** null when this node has no peers. */
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

export function peerSteps({ peerSteps: steps }: FlightRecord): PeerStep[] {
  return steps.map((step): PeerStep => {
    const { afterMs } = step
    if (step.is === 'instructed') {
      const { owner, instruction, from } = step.event
      return {
        is: 'guided',
        afterMs,
        owner: owner === undefined ? null : ownerReport(owner),
        course: instruction,
        from: from ?? null,
      }
    }
    const { name, bytes, ms, error } = step.event
    return {
      is: 'taken',
      afterMs,
      from: name,
      bytes,
      ms,
      error: error === undefined ? null : redact(error.message),
    }
  })
}

function ownerReport({ name, isSelf }: OwnerView): HoldersReport['owner'] {
  return { name, self: isSelf }
}

function exchangedBytes({ taken, given }: PeerView): number {
  return taken + given
}

function byName({ name: one }: PeerView, { name: other }: PeerView): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
