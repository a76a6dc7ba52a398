import type { Parsed } from '../lib/parsed.ts'
import type { BlobReport, ImageReport, PullsReport, StatusReport, WhyReport } from '../schemas/report.ts'
import { pageFile } from './page.ts'
import type { Look } from './route.ts'

/** What an agent can be asked about itself. */
export interface Reports {
  status(): Promise<StatusReport>
  pulls(): PullsReport
  blobs(): AsyncIterable<BlobReport>
  images(): AsyncIterable<ImageReport>
  /** Refused: the subject is neither an image nor a digest, and the sentence says why. */
  why(subject: string): Promise<Parsed<WhyReport>>
  /** Prometheus text. */
  metrics(): string
  /** Each reason is a sentence about what keeps the agent from serving. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] }
}

/** What is to be kept warm. */
export interface Warmth {
  /** Each reason is a sentence about an image that is not all here. */
  lacking(): Promise<readonly string[]>
}

export interface Answer<Body = string | AsyncIterable<unknown>> {
  readonly code: number
  readonly type: string
  /** Whole, or as values that make a line of JSON each. */
  readonly body: Body
  /** Each line is sent as soon as it is there. */
  readonly eager?: boolean
  /** For a 405: what may be done there instead. */
  readonly allow?: string
}

const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8'
const TEXT = 'text/plain; charset=utf-8'
export const LINES = 'application/x-ndjson'

export async function answerTo(route: Look, reports: Reports, warmth: Warmth): Promise<Answer> {
  switch (route.kind) {
    case 'page':
      return { code: 200, ...(await pageFile(route.path)) }
    case 'metrics':
      return { code: 200, type: PROMETHEUS, body: reports.metrics() }
    case 'healthz':
      return { code: 200, type: TEXT, body: 'ok\n' }
    case 'readyz':
      return readiness(reports.ready().reasons, route.warm ? await warmth.lacking() : [])
    case 'status':
      return json(200, await reports.status())
    case 'pulls':
      return json(200, reports.pulls())
    case 'blobs':
      return { code: 200, type: LINES, body: reports.blobs() }
    case 'images':
      return { code: 200, type: LINES, body: reports.images() }
    case 'why':
      return unlessRefused(await reports.why(route.subject))
    case 'refused':
      return problem(400, route.problem)
    case 'unknown':
      return problem(404, 'there is nothing here; / lists what there is')
  }
}

export function problem(code: number, message: string): Answer<string> {
  return json(code, { error: message })
}

export function json(code: number, value: unknown): Answer<string> {
  return { code, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function unlessRefused(report: Parsed<unknown>): Answer {
  return report.ok ? json(200, report.value) : problem(400, report.problem)
}

function readiness(...all: readonly (readonly string[])[]): Answer {
  const reasons = all.flat()
  return reasons.length === 0
    ? { code: 200, type: TEXT, body: 'ready\n' }
    : { code: 503, type: TEXT, body: `not ready: ${reasons.join('; ')}\n` }
}
