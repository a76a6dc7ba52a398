import { loadSetting } from '../../config/load.ts'
import { agoText, plain, plural, sizeText, spanText } from '../../observe/text.ts'
import { StatusReport } from '../../schemas/report.ts'
import { ask } from '../context/client.ts'
import { type Command, JSON_FLAG } from '../context/command.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { digestText, table } from '../terminal/table.ts'

/** Of a swarm; the whole of it is in the JSON. */
const MOST_PEERS = 20

/** `agent status`. */
export const status: Command = {
  words: [],
  flags: [...settingFlags('admin', 'config'), JSON_FLAG],
  examples: [
    {
      line: 'agent status',
      what: 'store, transfers, upstreams, peers and savings of the agent on this node',
    },
    { line: 'agent status --json | jq .store', what: 'the same for programs' },
  ],
  async run(given, terminal) {
    const admin = await loadSetting('admin', givenSettings(given, terminal))
    const report = await ask(admin, { method: 'GET', path: '/api/v1/status' }, StatusReport)
    await terminal.out(
      given.switches.has('json')
        ? `${JSON.stringify(report, undefined, 2)}\n`
        : statusText(report, Date.now(), terminal.isInteractive),
    )
    return 0
  },
}

export function statusText(report: StatusReport, now: number, isInteractive: boolean): string {
  const { addresses, data, ready, reasons, requests, startedAt, store, version } = report
  const limit = store.limitBytes === null ? '' : ` of at most ${sizeText(store.limitBytes)}`
  const lines = [
    `agent     ${plain(version)}, up since ${agoText(startedAt, now)}, ${serves(addresses.registry)}`,
    `ready     ${ready ? 'yes' : `no: ${plain(reasons.join('; '))}`}`,
    `store     ${sizeText(store.bytes)}${limit} in ${plural(store.blobs, 'blob')}, in ${plain(data)}`,
    ...(store.evictedBytes === 0 ? [] : [`evicted   ${sizeText(store.evictedBytes)} to make room`]),
    `scrub     ${scrub(store.scrub, now)}`,
    `requests  ${requests}`,
    `served    ${served(report)}`,
    `fetched   ${sizeText(report.fetched.upstream)} from upstream, ${sizeText(report.fetched.peer)} from peers`,
    `saved     ${saved(report)}`,
    `peers     ${peersLine(report)}`,
  ]
  return `${lines.join('\n')}\n${flights(report, now, isInteractive)}${upstreams(report, now)}${peers(report, now)}`
}

function peersLine({ peers: swarm }: StatusReport): string {
  if (swarm === null) return 'off'
  const { bytes, count, self } = swarm
  const where = self.zone === null ? '' : ` in zone ${plain(self.zone)}`
  const given = `${sizeText(bytes.in)} taken from them, ${sizeText(bytes.out)} given to them`
  return `${count}, this is ${plain(self.name)} at ${plain(self.address)}${where}; ${given}`
}

function serves(registry: string | null): string {
  return registry === null ? 'serves nobody yet' : `serves ${plain(registry)}`
}

function scrub(report: StatusReport['store']['scrub'], now: number): string {
  const { bytesPerSecond, state, found, lastRound } = report
  const doing = {
    resting: bytesPerSecond === 0 ? 'off' : 'resting',
    'under-way': `under way at up to ${sizeText(bytesPerSecond)}/s, ${found} rotten so far`,
    verifying: 'agent verify is under way',
  }[state]
  const before =
    lastRound === null
      ? 'no full round yet'
      : `last full round ended ${agoText(lastRound.endedAt, now)} and found ${lastRound.found} rotten`
  return `${doing}; ${before}`
}

function served({ served: from }: StatusReport): string {
  const here = `${sizeText(from.local)} from the store, ${sizeText(from.inflight)} from transfers under way`
  return `${here}, ${sizeText(from.upstream)} from upstream, ${sizeText(from.peer)} from peers`
}

function saved({ served: given, fetched }: StatusReport): string {
  const total = given.local + given.inflight + given.peer + given.upstream
  if (total === 0) return 'nothing yet'
  const kept = Math.max(0, total - fetched.upstream)
  return `${sizeText(kept)}, ${Math.round((100 * kept) / total)}% of what was served did not come from upstream again`
}

function flights({ flights: all }: StatusReport, now: number, isInteractive: boolean): string {
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
  return `\n${table(['COMING', 'HAS', 'WAITERS', 'BEGUN', 'FROM', 'REPOSITORY'], rows, [1, 2])}`
}

function upstreams({ upstreams: all }: StatusReport, now: number): string {
  if (all.length === 0) return ''
  const rows = all.map(({ host, requests, failures, lastAt, lastStatus, quota, resting }) => [
    host,
    String(requests),
    String(failures),
    lastAt === null ? '' : `${lastStatus ?? 'no answer'} ${agoText(lastAt, now)}`,
    quotaText(quota),
    resting === null ? 'asked' : `left alone: ${resting}`,
  ])
  return `\n${table(['UPSTREAM', 'REQUESTS', 'FAILED', 'LAST', 'QUOTA', 'STATE'], rows, [1, 2])}`
}

function quotaText(quota: StatusReport['upstreams'][number]['quota']): string {
  if (quota === null) return ''
  const of = quota.limit === null ? '' : ` of ${quota.limit}`
  return `${quota.remaining}${of}${quota.hearsay ? ', says a peer' : ''}`
}

function peers({ peers: swarm }: StatusReport, now: number): string {
  if (swarm === null || swarm.count === 0) return ''
  const shown = swarm.members.slice(0, MOST_PEERS)
  const rows = shown.map(({ name, address, zone, load, version, understood, since, taken, given }) => [
    name,
    address,
    zone ?? '',
    load === 0 ? '' : `${load}+`,
    understood ? version : `${version}, not understood`,
    spanText(now - Date.parse(since)),
    sizeText(taken),
    sizeText(given),
  ])
  const left = swarm.count - shown.length
  const more = left === 0 ? '' : `and ${left} more\n`
  return `\n${table(['PEER', 'ADDRESS', 'ZONE', 'GIVING', 'VERSION', 'SINCE', 'TAKEN', 'GIVEN'], rows, [3, 6, 7])}${more}`
}
