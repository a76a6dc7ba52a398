import { type IncomingMessage, request } from 'node:http'
import * as v from 'valibot'
import { formatAddress, type SocketAddress } from '../../config/values/address.ts'
import { plain } from '../../observe/text.ts'
import { CommandError } from './command.ts'

/** Nothing that an agent answers whole comes near this. */
const LARGEST_ANSWER = 64 * 1024 * 1024
const LONGEST_LINE = 1024 * 1024
/** Without a byte for so long, nobody is there. */
const PATIENCE_MS = 20_000

/** A request: how and where, and what to say besides. */
export interface Asking {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal
  /** What else can be done when no agent answers; for commands that can do without one. */
  readonly orElse?: string
}

/** Asks the agent whose admin address this is, and checks what it says. Every failure is one sentence. */
export async function ask<Schema extends v.GenericSchema>(
  admin: SocketAddress,
  asking: Asking,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const response = await send(admin, asking)
  const text = await whole(admin, response)
  if (response.statusCode !== 200) throw refusal(admin, response.statusCode, text)
  return checked(admin, text, schema)
}

/** As `ask`, for an answer that is a line of JSON for each thing. */
export async function* askLines<Schema extends v.GenericSchema>(
  admin: SocketAddress,
  asking: Asking,
  schema: Schema,
): AsyncGenerator<v.InferOutput<Schema>> {
  const response = await send(admin, asking)
  if (response.statusCode !== 200) throw refusal(admin, response.statusCode, await whole(admin, response))
  try {
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LONGEST_LINE) throw stranger(admin)
      for (const line of lines) yield checked(admin, line, schema)
    }
  } catch (cause) {
    // The stream may have been cut before it has heard why.
    throw asking.signal?.aborted === true ? interrupted(cause) : cutOff(admin, cause)
  } finally {
    response.destroy()
  }
}

function send(
  admin: SocketAddress,
  { method, path, body, signal, orElse }: Asking,
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        host: dialled(admin.host),
        port: admin.port,
        method,
        path,
        agent: false,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          accept: 'application/json',
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      resolve,
    )
    asking.setTimeout(PATIENCE_MS, () => asking.destroy(new Error('timeout')))
    asking.on('error', (cause) => reject(unreachable(admin, cause, orElse)))
    asking.end(text)
  })
}

async function whole(admin: SocketAddress, response: IncomingMessage): Promise<string> {
  try {
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > LARGEST_ANSWER) throw stranger(admin)
    }
    return text
  } catch (cause) {
    throw cutOff(admin, cause)
  }
}

function checked<Schema extends v.GenericSchema>(
  admin: SocketAddress,
  text: string,
  schema: Schema,
): v.InferOutput<Schema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw stranger(admin)
  }
  const result = v.safeParse(schema, value)
  if (!result.success) throw stranger(admin)
  return result.output
}

/** An agent that listens on every address is dialled on this machine's own. */
function dialled(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

function unreachable(admin: SocketAddress, cause: Error & { code?: string }, orElse?: string): CommandError {
  const where = formatAddress(admin)
  if (cause.code === 'ECONNREFUSED') {
    const other = orElse === undefined ? '' : `, or ${orElse}`
    return new CommandError(
      `no agent answers at ${where}; start one with agent serve, or say with --admin where it listens${other}`,
      { cause },
    )
  }
  if (cause.name === 'AbortError') return interrupted(cause)
  const why =
    cause.message === 'timeout'
      ? `no answer within ${PATIENCE_MS / 1000} s`
      : (cause.code ?? 'no HTTP answer')
  return new CommandError(`the agent at ${where} cannot be asked (${why}); is that its --admin address?`, {
    cause,
  })
}

function refusal(admin: SocketAddress, status: number | undefined, text: string): CommandError {
  const said = v.safeParse(v.object({ error: v.string() }), parsed(text))
  if (!said.success) return stranger(admin)
  return new CommandError(plain(said.output.error.slice(0, 500)), { exitCode: status === 400 ? 2 : 1 })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function stranger(admin: SocketAddress): CommandError {
  return new CommandError(
    `what answers at ${formatAddress(admin)} is not an agent of this version; say with --admin where it listens`,
  )
}

function cutOff(admin: SocketAddress, cause: unknown): CommandError {
  if (cause instanceof CommandError) return cause
  if (cause instanceof Error && cause.name === 'AbortError') return interrupted(cause)
  return new CommandError(
    `the agent at ${formatAddress(admin)} stopped in the middle of its answer; try again`,
    { cause },
  )
}

/** The one who has asked wants no more answer. */
export function interrupted(cause: unknown): CommandError {
  return new CommandError('stopped before the end; what was done so far is done', { cause })
}
