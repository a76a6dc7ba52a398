import { repositoryKey } from '../../oci/names/repository.ts'
import type { CopiesReport, ObjectStoreReport } from '../../schemas/object-store-report.ts'
import type { FlightReport, SourceReport, StatusReport } from '../../schemas/status-report.ts'
import type { CounterTotals } from '../metrics/metrics.ts'
import type { HostRecord, HostRecords } from '../records/hosts.ts'
import type { SavingsView } from '../records/savings.ts'
import { redact } from '../redact.ts'
import { rfc3339 } from '../rfc3339.ts'
import { peersReport } from './peers.ts'
import type { CopiesView, FlightView, NodeView, ObjectStoreView, ScrubView, SourceView } from './view.ts'

export async function statusReport(
  view: NodeView,
  hosts: HostRecords,
  totals: CounterTotals,
  problems: readonly string[],
): Promise<StatusReport> {
  const { registry, admin, metrics } = view.addresses()
  const { blobs, bytes, limitBytes, evictedBytes, hosted } = view.store()
  const reasons = [...view.notReadyReasons()]
  const peers = view.peers()
  return {
    version: view.version,
    name: view.name,
    startedAt: rfc3339(view.startedAt),
    addresses: { registry: registry ?? null, admin: admin ?? null, metrics: metrics ?? null },
    data: view.data,
    hosted: [...view.hostedPatterns],
    ready: reasons.length === 0,
    reasons,
    problems: [...problems],
    store: {
      blobs,
      bytes,
      limitBytes: limitBytes ?? null,
      evictedBytes,
      hosted,
      scrub: scrubReport(await view.scrub()),
    },
    flights: view.flights().map(flightReport),
    requests: totals.requests,
    lastPullAt: totals.lastPullAt === undefined ? null : rfc3339(totals.lastPullAt),
    served: totals.served,
    clients: view.clients(),
    fetched: totals.fetched,
    saved: savedReport(view.saved()),
    warm: await view.warm(),
    upstreams: hosts.all().map(hostReport),
    webhooks: view.webhooks().map(({ problem, ...rest }) => ({ ...rest, problem: problem ?? null })),
    sources: (await view.sources()).map(sourceReport),
    objectStore: objectStoreReport(view.objectStore(), totals.objectStore),
    copies: view.copies().map(copiesReport),
    peers: peers === undefined ? null : peersReport(peers, totals.peers),
  }
}

function savedReport({ since, total, cost, registries }: SavingsView): StatusReport['saved'] {
  return {
    ...amountsOf({ ...total, cost }),
    since: since ?? null,
    registries: registries.map(({ registry, ...sums }) => ({ registry, ...amountsOf(sums) })),
  }
}

function amountsOf({
  clients,
  peers,
  upstream,
  cost,
}: SavingsView['total'] & { readonly cost: number | undefined }): Omit<
  StatusReport['saved'],
  'since' | 'registries'
> {
  return {
    bytes: clients + peers,
    toClients: clients,
    toPeers: peers,
    fromUpstream: upstream,
    cost: cost ?? null,
  }
}

function scrubReport(scrub: ScrubView): StatusReport['store']['scrub'] {
  const { bytesPerSecond, isVerifying, isRunning, found, lastRound } = scrub
  return {
    bytesPerSecond,
    state: isVerifying ? 'verifying' : isRunning ? 'under-way' : 'resting',
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

function sourceReport({
  name,
  isExclusive,
  repositories,
  problem,
  hidden,
  isCompared,
}: SourceView): SourceReport {
  return {
    name,
    exclusive: isExclusive,
    repositories: repositories ?? null,
    problem: problem ?? null,
    hidden: [...hidden],
    compared: isCompared,
  }
}

function objectStoreReport(
  state: ObjectStoreView | undefined,
  { reads, answerMs, ...sent }: CounterTotals['objectStore'],
): ObjectStoreReport | null {
  if (state === undefined) return null
  const { name, paused, lastError, uploads } = state
  return {
    name,
    paused: textOrNull(paused),
    lastError:
      lastError === undefined ? null : { message: redact(lastError.message), at: rfc3339(lastError.at) },
    reads,
    answerMs: answerMs ?? null,
    uploads: { ...sent, ...uploads, problem: textOrNull(uploads.problem) },
  }
}

function copiesReport({ current, savedCost, problem, ...counts }: CopiesView): CopiesReport {
  return {
    ...counts,
    current: current === undefined ? null : { ...current },
    savedCost: savedCost ?? null,
    problem: textOrNull(problem),
  }
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined ? null : redact(text)
}

function hostReport(record: Readonly<HostRecord>): StatusReport['upstreams'][number] {
  const { quota } = record
  return {
    host: record.host,
    requests: record.requests,
    failures: record.failures,
    lastAt: record.lastAt === undefined ? null : rfc3339(record.lastAt),
    lastStatus: record.lastStatus ?? null,
    resting: pauseReasonOf(record),
    quota:
      quota === undefined
        ? null
        : {
            remaining: quota.remaining,
            limit: quota.limit ?? null,
            windowSeconds: quota.windowSeconds ?? null,
          },
  }
}

/** Says why this node sends no requests to the host at the moment; null when it does. */
function pauseReasonOf({ circuit, rateLimit }: Readonly<HostRecord>): string | null {
  if (circuit?.open === true) return circuit.reason
  const leftMs = (rateLimit?.until ?? 0) - Date.now()
  if (rateLimit === undefined || leftMs <= 0) return null
  const receiver = rateLimit.isFromPeer ? 'a peer' : 'this node'
  return `${receiver} got 429 for a ${rateLimit.kind}; ${Math.ceil(leftMs / 1000)} s left`
}
