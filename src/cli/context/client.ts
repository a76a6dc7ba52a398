import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import * as v from 'valibot'
import { formatAddress, type SocketAddress } from '../../config/values/address.ts'
import { plain } from '../../observe/text.ts'
import { ErrorReport } from '../../schemas/units.ts'
import type { AdminTarget } from './admin-target.ts'
import { CommandError } from './command.ts'

/** Bounds the memory for a response; real ones are far smaller. */
const MAX_BODY_LENGTH = 64 * 1024 * 1024
const MAX_LINE_LENGTH = 1024 * 1024
/** An agent sends a byte at least every second, so 20 s of silence mean that it hangs. */
const SILENCE_TIMEOUT_MS = 20_000

/** A request to the admin API. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal
  /** What the user can do instead when no agent answers; added to the error message. */
  readonly alternative?: string
}

/** Sends a request to the admin API at this address and validates the response. Throws a `CommandError`. */
export async function callApi<Schema extends v.GenericSchema>(
  admin: AdminTarget,
  apiRequest: ApiRequest,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const response = await send(admin, apiRequest)
  const text = await readBody(admin, response)
  if (response.statusCode !== 200) throw errorResponse(admin, response.statusCode, text)
  return validated(admin, text, schema)
}

/** As `callApi`, for a response that is a stream of JSON lines. */
export async function* streamApi<Schema extends v.GenericSchema>(
  admin: AdminTarget,
  apiRequest: ApiRequest,
  schema: Schema,
): AsyncGenerator<v.InferOutput<Schema>> {
  const response = await send(admin, apiRequest)
  if (response.statusCode !== 200)
    throw errorResponse(admin, response.statusCode, await readBody(admin, response))
  try {
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE_LENGTH) throw invalidResponse(admin)
      for (const line of lines) yield validated(admin, line, schema)
    }
  } catch (cause) {
    // An abort may reach the stream as a plain connection error.
    throw apiRequest.signal?.aborted === true ? interrupted(cause) : connectionLost(admin, cause)
  } finally {
    response.destroy()
  }
}

function send(
  admin: AdminTarget,
  { method, path, body, signal, alternative }: ApiRequest,
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const { token, authorities } = admin
  return new Promise((resolve, reject) => {
    const options = {
      host: reachableHost(admin.host),
      port: admin.port,
      method,
      path,
      agent: false as const,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    }
    const outgoing =
      authorities === undefined
        ? requestPlain(options, resolve)
        : requestTls({ ...options, ca: [...authorities] }, resolve)
    outgoing.setTimeout(SILENCE_TIMEOUT_MS, () => outgoing.destroy(new Error('timeout')))
    outgoing.on('error', (cause) => reject(unreachable(admin, cause, alternative)))
    outgoing.end(text)
  })
}

async function readBody(admin: SocketAddress, response: IncomingMessage): Promise<string> {
  try {
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > MAX_BODY_LENGTH) throw invalidResponse(admin)
    }
    return text
  } catch (cause) {
    throw connectionLost(admin, cause)
  }
}

function validated<Schema extends v.GenericSchema>(
  admin: SocketAddress,
  text: string,
  schema: Schema,
): v.InferOutput<Schema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalidResponse(admin)
  }
  const result = v.safeParse(schema, value)
  if (!result.success) throw invalidResponse(admin)
  return result.output
}

/** An agent that listens on all addresses is reached through the loopback address. */
function reachableHost(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

function unreachable(
  admin: SocketAddress,
  cause: Error & { code?: string },
  alternative?: string,
): CommandError {
  const where = formatAddress(admin)
  if (cause.code === 'ECONNREFUSED') {
    const suffix = alternative === undefined ? '' : `, or ${alternative}`
    return new CommandError(
      `no agent answers at ${where}; start one with agent serve, or give its address with --admin${suffix}`,
      { cause },
    )
  }
  if (cause.name === 'AbortError') return interrupted(cause)
  const why =
    cause.message === 'timeout'
      ? `no response within ${SILENCE_TIMEOUT_MS / 1000} s`
      : (cause.code ?? 'no HTTP response')
  return new CommandError(
    `the agent at ${where} cannot be reached (${why}); check that this is its --admin address, and with TLS its --admin-ca`,
    {
      cause,
    },
  )
}

function errorResponse(admin: SocketAddress, status: number | undefined, text: string): CommandError {
  const body = v.safeParse(ErrorReport, parseJson(text))
  if (!body.success) return invalidResponse(admin)
  return new CommandError(plain(body.output.error.slice(0, 500)), { exitCode: status === 400 ? 2 : 1 })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function invalidResponse(admin: SocketAddress): CommandError {
  return new CommandError(
    `the server at ${formatAddress(admin)} is not an agent of this version; give the address of the agent with --admin`,
  )
}

function connectionLost(admin: SocketAddress, cause: unknown): CommandError {
  if (cause instanceof CommandError) return cause
  if (cause instanceof Error && cause.name === 'AbortError') return interrupted(cause)
  return new CommandError(
    `the agent at ${formatAddress(admin)} closed the connection before the end of its response; try again`,
    { cause },
  )
}

/** The user has interrupted the command. */
export function interrupted(cause: unknown, message = 'interrupted; completed work is kept'): CommandError {
  return new CommandError(message, { exitCode: 130, cause })
}
