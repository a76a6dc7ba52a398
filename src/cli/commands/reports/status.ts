import { copiesText } from '../../../observe/copies-text.ts'
import { objectStoreReadsText, objectStoreUploadsText } from '../../../observe/object-store-text.ts'
import { agoText, plain, plural, savedShareText, sizeText, spanText } from '../../../observe/text.ts'
import { StatusReport } from '../../../schemas/status-report.ts'
import { adminFlags, adminTarget } from '../../context/admin-target.ts'
import { callApi, interrupted } from '../../context/client.ts'
import { type Command, JSON_FLAG } from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'
import { digestText, table } from '../../terminal/table.ts'
import { watch } from '../../terminal/watch.ts'

/** How many peers the table lists; the JSON has more. */
const MAX_PEERS = 20

/** `agent status`. */
export const status: Command = {
  positionals: [],
  flags: [
    {
      name: 'watch',
      kind: 'switch',
      help: 'show the state again every two seconds, until Ctrl-C',
      defaultText: undefined,
    },
    ...adminFlags(),
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent status',
      what: 'show store, transfers, local sources, upstreams, peers and savings of the agent on this node',
    },
    { line: 'agent status --watch', what: 'follow the state on a terminal' },
    { line: 'agent status --json | jq .store', what: 'print JSON for scripts' },
  ],
  async run(given, terminal) {
    const admin = await adminTarget(givenSettings(given, terminal))
    const isJson = given.switches.has('json')
    const read = (signal?: AbortSignal): Promise<StatusReport> =>
      callApi(
        admin,
        { method: 'GET', path: '/api/v1/status', ...(signal === undefined ? {} : { signal }) },
        StatusReport,
      )
    if (!given.switches.has('watch')) {
      const report = await read()
      const text = statusText(report, Date.now(), terminal.isInteractive)
      await terminal.out(isJson ? `${JSON.stringify(report, undefined, 2)}\n` : text)
      return 0
    }
    const signal = terminal.stopped()
    const show = async (): Promise<string> => {
      const report = await read(signal)
      return isJson ? `${JSON.stringify(report)}\n` : statusText(report, Date.now(), terminal.isInteractive)
    }
    await watch(terminal, signal, show).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    throw interrupted(signal.reason, 'interrupted')
  },
}

export function statusText(report: StatusReport, now: number, isInteractive: boolean): string {
  const { addresses, data, ready, reasons, requests, startedAt, store, version } = report
  const limit = store.limitBytes === null ? '' : ` of ${sizeText(store.limitBytes)}`
  const lines = [
    `agent     ${plain(version)}, started ${agoText(startedAt, now)}, ${registryText(addresses.registry)}`,
    `ready     ${ready ? 'yes' : `no: ${plain(reasons.join('; '))}`}`,
    ...report.problems.map((text) => `problem   ${plain(text)}`),
    `store     ${sizeText(store.bytes)}${limit} in ${plural(store.blobs, 'blob')}, in ${plain(data)}`,
    ...(store.hosted.blobs === 0
      ? []
      : [`hosted    ${sizeText(store.hosted.bytes)} in ${plural(store.hosted.blobs, 'blob')}`]),
    ...(store.evictedBytes === 0 ? [] : [`evicted   ${sizeText(store.evictedBytes)} to make room`]),
    `scrub     ${scrubText(store.scrub, now)}`,
    `requests  ${requests}; ${lastPullText(report, now)}`,
    `served    ${servedText(report)}`,
    `fetched   ${sizeText(report.fetched.upstream)} from upstream, ${sizeText(report.fetched.peer)} from peers`,
    ...bucketLines(report),
    ...copiesLines(report),
    `saved     ${savedText(report)}`,
    `peers     ${swarmText(report)}`,
  ]
  return `${lines.join('\n')}\n${flightTable(report, now, isInteractive)}${sourceTable(report)}${webhookTable(report)}${upstreamTable(report, now)}${peerTable(report, now)}`
}

function lastPullText({ lastPullAt }: StatusReport, now: number): string {
  return lastPullAt === null
    ? 'none for an image since the start (agent doctor checks whether the runtime asks)'
    : `the last one for an image ${agoText(lastPullAt, now)}`
}

function swarmText({ peers: swarm }: StatusReport): string {
  if (swarm === null) return 'off'
  const { bytes, count, self } = swarm
  const where = self.zone === null ? '' : ` in zone ${plain(self.zone)}`
  const traffic = `${sizeText(bytes.in)} received, ${sizeText(bytes.out)} sent`
  return `${count}; ${traffic}; this node is ${plain(self.name)} at ${plain(self.address)}${where}`
}

function registryText(registry: string | null): string {
  return registry === null ? 'not serving yet' : `serving on ${plain(registry)}`
}

function scrubText(report: StatusReport['store']['scrub'], now: number): string {
  const { bytesPerSecond, state, found, lastRound } = report
  const current = {
    resting: bytesPerSecond === 0 ? 'off' : 'idle',
    'under-way': `running at up to ${sizeText(bytesPerSecond)}/s, ${found} corrupt so far`,
    verifying: 'agent verify is running',
  }[state]
  const previous =
    lastRound === null
      ? 'no complete round yet'
      : `last round ended ${agoText(lastRound.endedAt, now)}, ${lastRound.found} corrupt`
  return `${current}; ${previous}`
}

function servedText({ served: from }: StatusReport): string {
  const local = `${sizeText(from.local)} from the store, ${sizeText(from.inflight)} from transfers in progress`
  const store = from.objectStore === 0 ? '' : `, ${sizeText(from.objectStore)} from the object store`
  return `${local}, ${sizeText(from.upstream)} from upstream, ${sizeText(from.peer)} from peers${store}`
}

function bucketLines({ objectStore }: StatusReport): string[] {
  if (!objectStore) return []
  const { name, paused, uploads } = objectStore
  const state = paused === null ? '' : `; paused: ${plain(paused)}`
  const failing = uploads.problem === null ? '' : `; uploads fail: ${plain(uploads.problem)}`
  return [
    `bucket    ${plain(name)}: ${objectStoreReadsText(objectStore)}${state}`,
    `uploads   ${objectStoreUploadsText(objectStore)}${failing}`,
  ]
}

function copiesLines({ copies = [] }: StatusReport): string[] {
  return copies.map((copy) => `copies    ${plain(copiesText(copy))}`)
}

function savedText({ saved }: StatusReport): string {
  if (saved.bytes + saved.fromUpstream === 0) return 'nothing yet'
  const peers = saved.toPeers === 0 ? '' : `, ${sizeText(saved.toPeers)} of it for peers`
  const cost = saved.cost === null ? '' : `, worth ${saved.cost.toFixed(2)}`
  return `${sizeText(saved.bytes)}${peers}${cost}; ${savedShareText(saved)}, since ${plain(saved.since ?? '')}`
}

function flightTable({ flights: all }: StatusReport, now: number, isInteractive: boolean): string {
  if (all.length === 0) return ''
  const rows = all.map((flight) => [
    digestText(flight.digest, isInteractive),
    flight.size === null
      ? sizeText(flight.position)
      : `${sizeText(flight.position)} of ${sizeText(flight.size)}`,
    String(flight.waiters),
    agoText(flight.startedAt, now),
    flight.source ?? '',
    flight.repository,
  ])
  return `\n${table(['TRANSFER', 'PROGRESS', 'WAITERS', 'STARTED', 'SOURCE', 'REPOSITORY'], rows, [1, 2])}`
}

function sourceTable({ sources: all }: StatusReport): string {
  if (all.length === 0) return ''
  const rows = all.map(({ name, exclusive, repositories, problem, hidden, compared }) => [
    name,
    repositories === null ? '' : String(repositories),
    exclusive ? 'yes' : '',
    sourceState({ repositories, problem, hidden: hidden?.length ?? 0, isCompared: compared ?? true }),
  ])
  return `\n${table(['LOCAL SOURCE', 'REPOSITORIES', 'EXCLUSIVE', 'STATE'], rows, [1])}`
}

function sourceState({
  repositories,
  problem,
  hidden,
  isCompared,
}: {
  readonly repositories: number | null
  readonly problem: string | null
  readonly hidden: number
  readonly isCompared: boolean
}): string {
  if (problem !== null) return `${repositories === null ? 'not readable' : 'failed'}: ${problem}`
  const unserved = hidden === 0 ? '' : `, ${plural(hidden, 'image')} not served (see doctor)`
  return `ok${unserved}${isCompared ? '' : ', not all compared'}`
}

function webhookTable({ webhooks: all }: StatusReport): string {
  if (all.length === 0) return ''
  const rows = all.map(({ name, waiting, delivered, dropped, problem }) => [
    name,
    String(delivered),
    String(waiting),
    String(dropped),
    problem ?? 'ok',
  ])
  return `\n${table(['WEBHOOK', 'SENT', 'WAITING', 'DROPPED', 'STATE'], rows, [1, 2, 3])}`
}

function upstreamTable({ upstreams: all }: StatusReport, now: number): string {
  if (all.length === 0) return ''
  const rows = all.map(({ host, requests, failures, lastAt, lastStatus, quota, resting }) => [
    host,
    String(requests),
    String(failures),
    lastAt === null ? '' : `${lastStatus ?? 'no response'}, ${agoText(lastAt, now)}`,
    quotaText(quota),
    resting === null ? 'ok' : `paused: ${resting}`,
  ])
  return `\n${table(['UPSTREAM', 'REQUESTS', 'FAILED', 'LAST RESPONSE', 'QUOTA', 'STATE'], rows, [1, 2])}`
}

function quotaText(quota: StatusReport['upstreams'][number]['quota']): string {
  if (quota === null) return 'unknown'
  const of = quota.limit === null ? '' : ` of ${quota.limit}`
  return `${quota.remaining}${of}`
}

function peerTable({ peers: swarm }: StatusReport, now: number): string {
  if (swarm === null || swarm.count === 0) return ''
  const shown = swarm.members.slice(0, MAX_PEERS)
  const rows = shown.map(({ name, address, zone, version, understood, since, taken, given }) => [
    name,
    address,
    zone ?? '',
    understood ? version : `${version} (incompatible)`,
    spanText(now - Date.parse(since)),
    sizeText(taken),
    sizeText(given),
  ])
  const hidden = swarm.count - shown.length
  const more = hidden === 0 ? '' : `and ${hidden} more\n`
  return `\n${table(['PEER', 'ADDRESS', 'ZONE', 'VERSION', 'KNOWN FOR', 'RECEIVED', 'SENT'], rows, [5, 6])}${more}`
}
