import type { PeerReport, PeerStep, PeersReport, SwarmReport } from '../../schemas/peer-report.ts'
import type { CounterTotals } from '../metrics/metrics.ts'
import type { FlightRecord } from '../records/journal.ts'
import { redact } from '../redact.ts'

/** A large swarm has too many members for one report. */
const MAX_MEMBERS = 1000

export function peersReport({ self, members }: SwarmReport, bytes: CounterTotals['peers']): PeersReport {
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

function exchangedBytes({ taken, given }: PeerReport): number {
  return taken + given
}

function byName({ name: one }: PeerReport, { name: other }: PeerReport): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
