import type { IncomingMessage } from 'node:http'
import type * as v from 'valibot'
import { onAbort } from '../lib/async/abort.ts'
import {
  type GcLine,
  GcRequest,
  type PinsReport,
  PinsRequest,
  type RemovalLine,
  RemovalRequest,
  type VerifyLine,
  VerifyRequest,
} from '../schemas/upkeep-report.ts'
import { type WarmLine, WarmRequest } from '../schemas/warm-report.ts'
import { type Answer, json, LINES, problem } from './answer.ts'
import { LARGEST_BODY, parseBody, readBody } from './body.ts'
import type { Change } from './route.ts'

/**
 * What an agent can be told to do with what it keeps. What is refused is thrown, by the first step where there are
 * several, as an error that says in `why` which kind of refusal it is and in its message, for people, what is wrong.
 */
export interface Upkeep {
  gc(options: { toBytes: number | undefined; signal: AbortSignal }): AsyncIterable<GcLine>
  verify(options: { bytesPerSecond: number | undefined; signal: AbortSignal }): AsyncIterable<VerifyLine>
  pin(subjects: readonly string[]): Promise<PinsReport>
  unpin(subjects: readonly string[]): Promise<PinsReport>
  remove(options: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncIterable<RemovalLine>
}

/** What has images here before anybody pulls them. Refuses as `Upkeep` does. */
export interface Warming {
  warm(options: WarmRequest & { signal: AbortSignal }): AsyncIterable<WarmLine>
}

/** Who carries changes out. */
export interface Changes {
  readonly upkeep: Upkeep
  readonly warming: Warming
}

const STATUS = { malformed: 400, unknown: 404, conflict: 409 } as const

/**
 * Web pages may send forms anywhere, and their browser adds nothing by which they could be told from the operator. But it
 * says where a page came from whenever a page changes something, and asks before it sends JSON across (Fetch standard,
 * "CORS-safelisted request-header"); nobody here answers that question.
 */
export function refuseChange(request: IncomingMessage): Answer<string> | undefined {
  const { origin, 'content-type': type, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined || site !== undefined)
    return problem(403, 'web pages may not change anything here')
  if (type?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    return problem(415, 'send the header Content-Type: application/json')
  }
  return undefined
}

/** `signal` is aborted when the client leaves. */
export async function make(
  change: Change,
  request: IncomingMessage,
  changes: Changes,
  { signal, patienceMs }: { signal: AbortSignal; patienceMs: number },
): Promise<Answer> {
  const body = await readBody(request, { signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]) })
  if (body === undefined) return problem(413, `a body may have ${LARGEST_BODY} bytes`)
  try {
    return await begin(change, body, changes, signal)
  } catch (error) {
    const status = refusalStatus(error)
    if (status === undefined || !(error instanceof Error)) throw error
    return problem(status, error.message)
  }
}

async function begin(
  change: Change,
  body: Buffer,
  { upkeep, warming }: Changes,
  signal: AbortSignal,
): Promise<Answer> {
  switch (change) {
    case 'gc':
      return withBody(body, GcRequest, ({ toBytes }) => lines(upkeep.gc({ toBytes, signal }), signal))
    case 'verify':
      return withBody(body, VerifyRequest, ({ bytesPerSecond }) =>
        lines(upkeep.verify({ bytesPerSecond, signal }), signal),
      )
    case 'warm':
      return withBody(body, WarmRequest, (given) => lines(warming.warm({ ...given, signal }), signal))
    case 'pin':
      return withBody(body, PinsRequest, async ({ subjects }) => json(200, await upkeep.pin(subjects)))
    case 'unpin':
      return withBody(body, PinsRequest, async ({ subjects }) => json(200, await upkeep.unpin(subjects)))
    case 'remove':
      return withBody(body, RemovalRequest, (given) => lines(upkeep.remove({ ...given, signal }), signal))
  }
}

async function withBody<Schema extends v.GenericSchema>(
  body: Buffer,
  schema: Schema,
  then: (given: v.InferOutput<Schema>) => Promise<Answer>,
): Promise<Answer> {
  const given = parseBody(body, schema)
  return given.ok ? then(given.value) : problem(400, given.problem)
}

/** The first step is waited for: what is refused is refused then, while a status can still say so. */
async function lines(steps: AsyncIterable<unknown>, signal: AbortSignal): Promise<Answer> {
  const iterator = steps[Symbol.asyncIterator]()
  // Also when the client has left before its answer was begun, and nobody follows.
  onAbort(signal, () => void iterator.return?.()?.catch(() => {}))
  const first = await iterator.next()
  return { code: 200, type: LINES, body: follow(first, iterator), eager: true }
}

/** A failure in the middle is told in a line of its own: the head is out. */
async function* follow(
  first: IteratorResult<unknown>,
  rest: AsyncIterator<unknown>,
): AsyncGenerator<unknown> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value
  } catch (error) {
    yield { is: 'failed', error: sentence(error) }
  } finally {
    await rest.return?.()
  }
}

/** Failures of the agent's own are written for people; others may quote anything. */
function sentence(error: unknown): string {
  const isOwn = error instanceof Error && (error.name === 'Failure' || refusalStatus(error) !== undefined)
  return isOwn ? error.message : 'it could not be gone on with'
}

function refusalStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || error.name !== 'Refusal' || !('why' in error)) return undefined
  return Object.entries(STATUS).find(([why]) => why === error.why)?.[1]
}
