import type { IncomingMessage } from 'node:http'
import type * as v from 'valibot'
import { onAbort } from '../lib/async/abort.ts'
import type { Parsed } from '../lib/parsed.ts'
import {
  type GcLine,
  GcRequest,
  type HostedGcLine,
  HostedGcRequest,
  type PinsReport,
  PinsRequest,
  type RemovalLine,
  RemovalRequest,
  type VerifyLine,
  VerifyRequest,
} from '../schemas/upkeep-report.ts'
import { type WarmLine, WarmRequest } from '../schemas/warm-report.ts'
import { type AdminAnswer, errorAnswer, JSON_LINES, jsonAnswer } from './answer.ts'
import { type BodySchema, MAX_BODY_BYTES, parseRequestBody, readRequestBody } from './request-body.ts'
import type { AdminCommand } from './route.ts'

/**
 * The commands that change what is stored. A command that cannot be carried out throws an error, in its first step if it
 * has several: the error's `code` is the kind of the problem, and its message describes the problem for people.
 */
export interface Upkeep {
  gc(options: { toBytes: number | undefined; signal: AbortSignal }): AsyncIterable<GcLine>
  collectHosted(options: { isDryRun: boolean; signal: AbortSignal }): AsyncIterable<HostedGcLine>
  verify(options: { bytesPerSecond: number | undefined; signal: AbortSignal }): AsyncIterable<VerifyLine>
  pin(subjects: readonly string[]): Promise<PinsReport>
  unpin(subjects: readonly string[]): Promise<PinsReport>
  remove(options: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncIterable<RemovalLine>
}

/** The command that stores images before they are pulled. It throws the same errors as `Upkeep`. */
export interface Warming {
  warm(options: WarmRequest & { signal: AbortSignal }): AsyncIterable<WarmLine>
}

export interface CommandHandlers {
  readonly upkeep: Upkeep
  readonly warming: Warming
}

/** A request body of each command, for the sentences about those that cannot be read. */
const EXAMPLES: Readonly<Record<AdminCommand, string>> = {
  gc: '{"toBytes": 0}',
  collect: '{"isDryRun": true}',
  verify: '{"bytesPerSecond": 104857600}',
  warm: '{"images": ["alpine:3"]}',
  pin: '{"subjects": ["alpine:3"]}',
  unpin: '{"subjects": ["alpine:3"]}',
  remove: '{"subjects": ["alpine:3"]}',
}

const STATUS_BY_PROBLEM = { malformed: 400, unknown: 404, conflict: 409 } as const

/**
 * Refuses commands that a web page may have sent. A page of any site can send forms to this server, and its browser adds nothing
 * that distinguishes it from the operator. But a browser names the origin of the page in every request that changes
 * something, and sends a preflight request before it sends JSON to another origin (Fetch standard, "CORS-safelisted
 * request-header"), to which this server gives no permission.
 */
export function refuseWebPage(request: IncomingMessage): AdminAnswer<string> | undefined {
  const { origin, 'content-type': type, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined || site !== undefined)
    return errorAnswer(403, 'commands from web pages are not allowed; send them without the header Origin')
  if (type?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    return errorAnswer(415, 'a command needs a body in JSON; send it with Content-Type: application/json')
  }
  return undefined
}

/** `signal` is aborted when the client disconnects. */
export async function runCommand(
  command: AdminCommand,
  request: IncomingMessage,
  handlers: CommandHandlers,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<AdminAnswer> {
  const body = await readRequestBody(request, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  if (body === undefined)
    return errorAnswer(
      413,
      `the request body has more than ${MAX_BODY_BYTES} bytes; send fewer images in each request`,
    )
  try {
    return await startCommand(command, body, handlers, signal)
  } catch (error) {
    const status = requestErrorStatus(error)
    if (status === undefined || !(error instanceof Error)) throw error
    return errorAnswer(status, error.message)
  }
}

async function startCommand(
  command: AdminCommand,
  body: Buffer,
  { upkeep, warming }: CommandHandlers,
  signal: AbortSignal,
): Promise<AdminAnswer> {
  const withBody = <Schema extends BodySchema>(
    schema: Schema,
    run: (options: v.InferOutput<Schema>) => Promise<AdminAnswer>,
  ): Promise<AdminAnswer> => withOptions(parseRequestBody(body, schema, EXAMPLES[command]), run)
  switch (command) {
    case 'gc':
      return withBody(GcRequest, ({ toBytes }) => progressAnswer(upkeep.gc({ toBytes, signal }), signal))
    case 'collect':
      return withBody(HostedGcRequest, ({ isDryRun }) =>
        progressAnswer(upkeep.collectHosted({ isDryRun, signal }), signal),
      )
    case 'verify':
      return withBody(VerifyRequest, ({ bytesPerSecond }) =>
        progressAnswer(upkeep.verify({ bytesPerSecond, signal }), signal),
      )
    case 'warm':
      return withBody(WarmRequest, (options) => progressAnswer(warming.warm({ ...options, signal }), signal))
    case 'pin':
      return withBody(PinsRequest, async ({ subjects }) => jsonAnswer(200, await upkeep.pin(subjects)))
    case 'unpin':
      return withBody(PinsRequest, async ({ subjects }) => jsonAnswer(200, await upkeep.unpin(subjects)))
    case 'remove':
      return withBody(RemovalRequest, (options) =>
        progressAnswer(upkeep.remove({ ...options, signal }), signal),
      )
  }
}

async function withOptions<Options>(
  options: Parsed<Options>,
  run: (options: Options) => Promise<AdminAnswer>,
): Promise<AdminAnswer> {
  return options.ok ? run(options.value) : errorAnswer(400, options.problem)
}

/** Waits for the first step, because an error in it can still be answered with a status. */
async function progressAnswer(steps: AsyncIterable<unknown>, signal: AbortSignal): Promise<AdminAnswer> {
  const iterator = steps[Symbol.asyncIterator]()
  // Ends the command also when the client disconnects before the answer begins and nothing reads the steps.
  onAbort(signal, () => void iterator.return?.()?.catch(() => {}))
  const first = await iterator.next()
  return { status: 200, contentType: JSON_LINES, body: remainingSteps(first, iterator), isUnbuffered: true }
}

/** A failure after the first step becomes a line of its own, because the status is sent already. */
async function* remainingSteps(
  first: IteratorResult<unknown>,
  rest: AsyncIterator<unknown>,
): AsyncGenerator<unknown> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value
  } catch (error) {
    yield { is: 'failed', error: publicMessage(error) }
  } finally {
    await rest.return?.()
  }
}

/** Messages of the agent's own errors are written for people; those of others may contain secrets. */
function publicMessage(error: unknown): string {
  const isOwn =
    error instanceof Error && (error.name === 'Failure' || requestErrorStatus(error) !== undefined)
  return isOwn ? error.message : 'the agent could not go on because of an unexpected error; try again'
}

function requestErrorStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || error.name !== 'RequestError' || !('code' in error)) return undefined
  return Object.entries(STATUS_BY_PROBLEM).find(([code]) => code === error.code)?.[1]
}
