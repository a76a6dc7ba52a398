import type { Parsed } from '../lib/parsed.ts'
import type { BlobReport, ImageReport } from '../schemas/content-report.ts'
import type { EventLine } from '../schemas/event-report.ts'
import type { HistoryReport } from '../schemas/history-report.ts'
import type { SwarmActivityReport } from '../schemas/peer-report.ts'
import type { PullsReport } from '../schemas/pull-report.ts'
import type { StatusReport } from '../schemas/status-report.ts'
import type { WhyReport } from '../schemas/why-report.ts'
import { pageFile } from './page.ts'
import type { ReadRoute } from './route.ts'

/** The reports of the agent about itself. */
export interface Reports {
  status(): Promise<StatusReport>
  pulls(): PullsReport
  history(): HistoryReport
  /** Asks other agents of the swarm. */
  swarm(): Promise<SwarmActivityReport>
  blobs(): AsyncIterable<BlobReport>
  images(): AsyncIterable<ImageReport>
  /** What happens from now on, until the abort; undefined when there are too many followers already. */
  events(signal: AbortSignal): AsyncIterable<EventLine> | undefined
  /** Refused when the subject is neither an image nor a digest. */
  why(subject: string): Promise<Parsed<WhyReport>>
  /** Metrics in the Prometheus text format. */
  metrics(): Promise<string>
  /** Each reason is a sentence that says why the agent cannot serve. */
  ready(): {
    readonly ready: boolean
    readonly reasons: readonly string[]
    /** What is wrong although the agent serves. */
    readonly problems: readonly string[]
  }
}

/** Reports on the images that are to be kept warm. */
export interface WarmReadiness {
  /** Each reason is a sentence about an image that is not completely stored. */
  lacking(): Promise<readonly string[]>
}

export interface AdminAnswer<Body = string | AsyncIterable<unknown>> {
  readonly status: number
  readonly contentType: string
  /** A string is sent whole; each value of an iterable is sent as one line of JSON. */
  readonly body: Body
  /** Each line is sent as soon as it is produced. */
  readonly isUnbuffered?: boolean
  /** The `Allow` header of a 405. */
  readonly allow?: string
  /** The `WWW-Authenticate` header of a 401. */
  readonly challenge?: string
}

const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8'
const TEXT = 'text/plain; charset=utf-8'
export const JSON_LINES = 'application/x-ndjson'

/** `signal` is aborted when the client disconnects. */
export async function answerRead(
  route: ReadRoute,
  reports: Reports,
  warmReadiness: WarmReadiness,
  signal: AbortSignal,
): Promise<AdminAnswer> {
  switch (route.kind) {
    case 'page':
      return { status: 200, ...(await pageFile(route.path)) }
    case 'metrics':
      return { status: 200, contentType: PROMETHEUS, body: await reports.metrics() }
    case 'healthz':
      return { status: 200, contentType: TEXT, body: 'ok\n' }
    case 'readyz':
      return await readiness(route, reports, warmReadiness)
    case 'status':
      return jsonAnswer(200, await reports.status())
    case 'pulls':
      return jsonAnswer(200, reports.pulls())
    case 'history':
      return jsonAnswer(200, reports.history())
    case 'swarm':
      return jsonAnswer(200, await reports.swarm())
    case 'blobs':
      return { status: 200, contentType: JSON_LINES, body: reports.blobs() }
    case 'images':
      return { status: 200, contentType: JSON_LINES, body: reports.images() }
    case 'events':
      return eventsAnswer(reports.events(signal))
    case 'why':
      return parsedAnswer(await reports.why(route.subject))
    case 'invalid':
      return errorAnswer(400, route.problem)
    case 'unknown':
      return errorAnswer(404, `nothing is at this path; there are ${route.known.join(', ')}`)
  }
}

export function errorAnswer(status: number, message: string): AdminAnswer<string> {
  return jsonAnswer(status, { error: message })
}

export function jsonAnswer(status: number, value: unknown): AdminAnswer<string> {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function parsedAnswer(report: Parsed<unknown>): AdminAnswer {
  return report.ok ? jsonAnswer(200, report.value) : errorAnswer(400, report.problem)
}

function eventsAnswer(events: AsyncIterable<EventLine> | undefined): AdminAnswer {
  if (events === undefined)
    return errorAnswer(
      503,
      'too many clients follow the events of this agent; end one of them, and try again',
    )
  return { status: 200, contentType: JSON_LINES, body: events, isUnbuffered: true }
}

async function readiness(
  { includesWarm, askedAfterSeconds }: Extract<ReadRoute, { kind: 'readyz' }>,
  reports: Reports,
  warmReadiness: WarmReadiness,
): Promise<AdminAnswer> {
  const { reasons, problems } = reports.ready()
  const lacking = includesWarm ? await warmReadiness.lacking() : []
  const asked =
    askedAfterSeconds === undefined ? undefined : askedState(await reports.status(), askedAfterSeconds)
  const why = [...reasons, ...lacking, ...(asked?.reasons ?? [])]
  const [status, head] = why.length === 0 ? [200, 'ready'] : [503, `not ready: ${why.join('; ')}`]
  const lines = [head, ...problems.map((one) => `problem: ${one}`), ...(asked?.lines ?? [])]
  return { status, contentType: TEXT, body: `${lines.join('\n')}\n` }
}

/** The line tells a client that has asked from the time in which none has to: both are ready. */
function askedState({ startedAt, lastPullAt }: StatusReport, afterSeconds: number) {
  const seconds = Math.floor((Date.now() - Date.parse(startedAt)) / 1000)
  const isAsked = lastPullAt !== null
  return {
    reasons:
      isAsked || seconds < afterSeconds
        ? []
        : [`no client has asked for an image since the start ${seconds} s ago`],
    lines: [`asked: ${isAsked ? 'yes' : 'no'}`],
  }
}
