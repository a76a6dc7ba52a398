import type { PeerStep, PeersReport } from '../../schemas/peer-report.ts'
import type { CounterTotals } from '../metrics/metrics.ts'
import type { FlightRecord } from '../records/journal.ts'
import { redact } from '../redact.ts'

/** Bounds the size of the report in a large swarm. */
const MAX_MEMBERS = 1000

export function peersReport(
  { self, members }: Pick<PeersReport, 'self' | 'members'>,
  bytes: CounterTotals['peers'],
): PeersReport {
  const sorted = [...members].sort(
    (one, other) => exchangedBytes(other) - exchangedBytes(one) || byName(one, other),
  )
  return { self, bytes, count: members.length, members: sorted.slice(0, MAX_MEMBERS) }
}

export function peerSteps({ peerSteps: steps }: FlightRecord): PeerStep[] {
  return steps.map((step): PeerStep => {
    const { afterMs } = step
    if (step.is === 'instructed') {
      const { owner, instruction, from } = step.event
      return {
        is: 'guided',
        afterMs,
        owner: owner ?? null,
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

type Peer = PeersReport['members'][number]

function exchangedBytes({ taken, given }: Peer): number {
  return taken + given
}

function byName({ name: one }: Peer, { name: other }: Peer): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
