import { repositoryKey } from '../../oci/names/repository.ts'
import type { FlightReport, StatusReport } from '../../schemas/report.ts'
import type { Totals } from '../metrics/metrics.ts'
import type { HostState, Hosts } from '../records/hosts.ts'
import { rfc3339 } from './listing.ts'
import { peersReport } from './peers.ts'
import type { FlightView, NodeView, ScrubView } from './view.ts'

export async function statusReport(view: NodeView, hosts: Hosts, totals: Totals): Promise<StatusReport> {
  const { registry, admin } = view.addresses()
  const { blobs, bytes, limitBytes, evictedBytes } = view.store()
  const reasons = [...view.unready()]
  const peers = view.peers()
  return {
    version: view.version,
    startedAt: rfc3339(view.startedAt),
    addresses: { registry: registry ?? null, admin: admin ?? null },
    data: view.data,
    ready: reasons.length === 0,
    reasons,
    store: {
      blobs,
      bytes,
      limitBytes: limitBytes ?? null,
      evictedBytes,
      scrub: scrubReport(await view.scrub()),
    },
    flights: view.flights().map(flightReport),
    requests: totals.requests,
    served: totals.served,
    clients: view.clients(),
    fetched: totals.fetched,
    upstreams: hosts.all().map(hostReport),
    peers: peers === undefined ? null : peersReport(peers, totals.peers),
  }
}

function scrubReport(scrub: ScrubView): StatusReport['store']['scrub'] {
  const { bytesPerSecond, isVerifying, isUnderWay, found, lastRound } = scrub
  return {
    bytesPerSecond,
    state: isVerifying ? 'verifying' : isUnderWay ? 'under-way' : 'resting',
    found,
    lastRound: lastRound === undefined ? null : { ...lastRound, endedAt: rfc3339(lastRound.endedAt) },
  }
}

export function flightReport(flight: FlightView): FlightReport {
  return {
    digest: flight.digest,
    kind: flight.kind,
    repository: repositoryKey(flight.repository),
    startedAt: rfc3339(flight.startedAt),
    position: flight.position,
    size: flight.size ?? null,
    waiters: flight.waiters,
    source: flight.source ?? null,
  }
}

function hostReport(state: Readonly<HostState>): StatusReport['upstreams'][number] {
  const { quota } = state
  return {
    host: state.host,
    requests: state.requests,
    failures: state.failures,
    lastAt: state.lastAt === undefined ? null : rfc3339(state.lastAt),
    lastStatus: state.lastStatus ?? null,
    resting: restingOf(state),
    quota:
      quota === undefined
        ? null
        : {
            remaining: quota.remaining,
            limit: quota.limit ?? null,
            windowSeconds: quota.windowSeconds ?? null,
            hearsay: quota.isHearsay,
          },
  }
}

function restingOf({ circuit, limited }: Readonly<HostState>): string | null {
  if (circuit?.open === true) return circuit.reason
  const leftMs = (limited?.until ?? 0) - Date.now()
  if (limited === undefined || leftMs <= 0) return null
  const whom = limited.isHearsay ? 'a peer' : 'us'
  return `it has answered 429 to ${whom} for a ${limited.kind}; ${Math.ceil(leftMs / 1000)} s to go`
}
